package vectors_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

// The claims of RFC 7515 App. A.1 to A.3 and of RFC 7519 §3.1: iss, exp and
// http://example.com/is_root.
const joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

// RFC 7515 App. A.1: the MAC of RFC 7519 §3.1, and the secret it was made with.
const (
	jwtOfRFC7519 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + joe + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	keyA1        = `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`
)

// RFC 7515 App. A.2: RS256.
const (
	jwsA2 = "eyJhbGciOiJSUzI1NiJ9." + joe +
		".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" +
		"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" +
		"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	keyA2 = `{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL` +
		"-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665x" +
		`smtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}`
)

// RFC 7515 App. A.3: ES256.
const (
	jwsA3 = "eyJhbGciOiJFUzI1NiJ9." + joe + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	keyA3 = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
)

// RFC 7515 App. A.4: ES512 over the word "Payload".
const (
	jwsA4 = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA." +
		"AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8Kp" +
		"EHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
	keyA4 = `{"kty":"EC","crv":"P-521",` +
		`"x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",` +
		`"y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}`
)

// RFC 7515 App. E: a crit that nobody knows.
const jwsE = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA."

// RFC 7519 §6.1: an unsecured JWT.
const unsecured = "eyJhbGciOiJub25lIn0." + joe + "."

// RFC 7519 App. A.1: an encrypted JWT; App. A.2: the JWT of RFC 7515 App. A.2
// within a JWE.
const (
	encryptedJWT = "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0." +
		"QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8qDcjiHnSJflSdv1iNqhWXaKH4MqAkQtMoNfABIPJaZm0HaA415sv3aeuBWnD8J-Ui7Ah6cWafs3ZwwFKDFUUsWHSK-IPKxLG" +
		"TkND09XyjORj_CHAgOPJ-Sd8ONQRnJvWn_hXV1BNMHzUjPyYwEsRhDhzjAD26imasOTsgruobpYGoQcXUwFDn7moXPRfDE8-NoQX7N7ZYMmpUDkR-Cx9obNGwJQ3nM52" +
		"YCitxoQVPzjbl7WBuB7AohdBoZOdZ24WlN1lVIeh8v1K4krB8xgKvRU8kgFrEn_a1rZgN5TiysnmzTROF869lQ." +
		"AxY8DCtDaGlsbGljb3RoZQ." +
		"MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaMHDjUEOKIwrtkHthpqEanSBNYHZgmNOV7sln1Eu9g3J8." +
		"fiK51VwhsxJ-siBMR-YFiA"
	nestedJWT = "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2IiwiY3R5IjoiSldUIn0." +
		"g_hEwksO1Ax8Qn7HoN-BVeBoa8FXe0kpyk_XdcSmxvcM5_P296JXXtoHISr_DD_MqewaQSH4dZOQHoUgKLeFly-9RI11TG-_Ge1bZFazBPwKC5lJ6OLANLMd0QSL4fYE" +
		"b9ERe-epKYE3xb2jfY1AltHqBO-PM6j23Guj2yDKnFv6WO72tteVzm_2n17SBFvhDuR9a2nHTE67pe0XGBUS_TK7ecA-iVq5COeVdJR4U4VZGGlxRGPLRHvolVLEHx6D" +
		"YyLpw30Ay9R6d68YCLi9FYTq3hIXPK_-dmPlOUlKvPr1GgJzRoeC9G5qCvdcHWsqJGTO_z3Wfo5zsqwkxruxwA." +
		"UmVkbW9uZCBXQSA5ODA1Mg." +
		"VwHERHPvCNcHHpTjkoigx3_ExK0Qc71RMEParpatm0X_qpg-w8kozSjfNIPPXiTBBLXR65CIPkFqz4l1Ae9w_uowKiwyi9acgVztAi-pSL8GQSXnaamh9kX1mdh3M_TT" +
		"-FZGQFQsFhu0Z72gJKGdfGE-OE7hS1zuBD5oEUfk0Dmb0VzWEzpxxiSSBbBAzP10l56pPfAtrjEYw-7ygeMkwBl6Z_mLS6w6xUgKlvW6ULmkV-uLC4FUiyKECK4e3WZY" +
		"Kw1bpgIqGYsw2v_grHjszJZ-_I5uM-9RA8ycX9KqPRp9gc6pXmoU_-27ATs9XCvrZXUtK2902AUzqpeEUJYjWWxSNsS-r1TJ1I-FMJ4XyAiGrfmo9hQPcNBYxPz3GQb2" +
		"8Y5CLSQfNgKSGt0A4isp1hBUXBHAndgtcslt7ZoQJaKe_nNJgNliWtWpJ_ebuOpEl8jdhehdccnRMIwAmU1n7SPkmhIl1HlSOpvcvDfhUN5wuqU955vOBvfkBOh5A11U" +
		"zBuo2WlgZ6hYi9-e3w29bR0C2-pp3jbqxEDw3iWaf2dc5b-LnR0FEYXvI_tYk5rd_J9N0mg0tQ6RbpxNEMNoA9QWk5lgdPvbh9BaO195abQ." +
		"AVO9iT5AV4CzvDJCdhSFlQ"
)

// RFC 8037 App. A.2 and A.4: Ed25519 over a sentence.
const (
	jwsEd25519 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	keyEd25519 = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

// The examples with the keys that belong to them: the signature alone, under
// the product's default policy and under one of every algorithm; and the whole
// token, of which all lack an audience.
func TestTokensOfTheRFCs(t *testing.T) {
	for _, example := range []struct {
		name, raw, jwk     string
		rs256, each, whole grants.Reason
	}{
		{"RFC 7515 A.1, RFC 7519 §3.1", jwtOfRFC7519, keyA1, grants.AlgNotAllowed, grants.AlgNotAllowed, grants.AlgNotAllowed},
		{"RFC 7515 A.2", jwsA2, keyA2, accepted, accepted, grants.ClaimMissing},
		{"RFC 7515 A.2, key of A.3", jwsA2, keyA3, grants.KeyUnusable, grants.KeyUnusable, grants.ClaimMissing},
		{"RFC 7515 A.3", jwsA3, keyA3, grants.AlgNotAllowed, accepted, grants.ClaimMissing},
		{"RFC 7515 A.3, key of A.4", jwsA3, keyA4, grants.AlgNotAllowed, grants.KeyUnusable, grants.ClaimMissing},
		{"RFC 7515 A.4", jwsA4, keyA4, grants.AlgNotAllowed, accepted, grants.Malformed},
		{"RFC 7515 A.5, RFC 7519 §6.1", unsecured, keyA2, grants.AlgNotAllowed, grants.AlgNotAllowed, grants.AlgNotAllowed},
		{"RFC 7515 E", jwsE, keyA2, grants.HeaderNotAllowed, grants.HeaderNotAllowed, grants.HeaderNotAllowed},
		{"RFC 7519 A.1", encryptedJWT, keyA2, grants.Malformed, grants.Malformed, grants.Malformed},
		{"RFC 7519 A.2", nestedJWT, keyA2, grants.Malformed, grants.Malformed, grants.Malformed},
		{"RFC 8037 A.4", jwsEd25519, keyEd25519, grants.AlgNotAllowed, accepted, grants.Malformed},
		{"RFC 8037 A.4, key of RFC 7515 A.3", jwsEd25519, keyA3, grants.AlgNotAllowed, grants.KeyUnusable, grants.Malformed},
	} {
		t.Run(example.name, func(t *testing.T) {
			keys := keysOf(t, asSet([]byte(example.jwk)))
			if got := judgeSignature(example.raw, keys, "RS256"); got != example.rs256 {
				t.Errorf("under RS256 %s, want %s", said(got), said(example.rs256))
			}
			if got := judgeSignature(example.raw, keys, registry.Algorithms()...); got != example.each {
				t.Errorf("under every algorithm %s, want %s", said(got), said(example.each))
			}
			endpoint := &forge{keys: keys, policy: &assertion.Policy{Issuer: "joe", Audiences: []string{"api.cambio.example"}, Algorithms: registry.Algorithms()}}
			if got := endpoint.judge(example.raw); got != example.whole {
				t.Errorf("the whole token %s, want %s", said(got), said(example.whole))
			}
		})
	}
}
