package vectors_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/keys/remote"
)

// RFC 7517 App. A.1 and A.2: two keys, and their private parts.
const (
	pointOfRFC7517   = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"`
	modulusOfRFC7517 = `"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs` +
		"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		`SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"`

	publicA1  = `{"keys":[{` + pointOfRFC7517 + `},{` + modulusOfRFC7517 + `}]}`
	privateEC = `{` + pointOfRFC7517 + `,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`
	privateD  = `{` + modulusOfRFC7517 + `,"d":"X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqij` +
		"wp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBz" +
		`nbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q"}`
	privateFactor = `{` + modulusOfRFC7517 + `,"p":"83i-7IvMGXoMXCskv73TKr8637FiO7Z27zv8oj6pbWUQyLPQBQxtPVnwD20R-60eTDmD2ujnMt5PoqMrm8RfmNhVWDtjjMmCMjOpSXicFHj7XOuVIYQyqV` +
		`WlWEh6dN36GVZYk93N8Bc9vY41xy8B9RzzOGVQzXvNEvn7O0nVbfs"}`

	secretA3 = `{"keys":[{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"},` + keyA1 + `]}`
)

// RFC 7517 App. B: a key and the certificate of it, which ended in 2018.
const (
	keyB = `{"kty":"RSA","use":"sig","kid":"1b94c","e":"AQAB","n":"vrjOfz9Ccdgx5nQudyhdoR17V-IubWMeOZCwX_jj0hgAsz2J_pqYW08` +
		"PLbK_PdiVGKPrqzmDIsLI7sA25VEnHU1uCLNwBuUiCO11_-7dYbsr4iJmG0Qu2j8DsVyT1azpJC_NG84Ty5KKthuCaPod7iI7w0LK9orSMhBEwwZDCxTWq4a" +
		"YWAchc8t-emd9qOvWtVMDC2BXksRngh6X5bUYLy6AyHKvj-nUy1wgzjYQDwHMTplCoLtU-o-8SNnZ1tmRoGE9uJkBLdh5gFENabWnU5m1ZqZPdwS-qo-meMv" +
		`VfJb6jJVWRpl2SUtCnYG2C32qvbWbjZ_jBPD5eunqsIo1vQ","x5c":["` + certificateB + `"]}`
	certificateB = "MIIDQjCCAiqgAwIBAgIGATz/FuLiMA0GCSqGSIb3DQEBBQUAMGIxCzAJBgNVBAYTAlVTMQswCQYDVQQIEwJDTzEPMA0GA1UEBxMGRGVudmVyMRwwGgYDVQQKExNQ" +
		"aW5nIElkZW50aXR5IENvcnAuMRcwFQYDVQQDEw5CcmlhbiBDYW1wYmVsbDAeFw0xMzAyMjEyMzI5MTVaFw0xODA4MTQyMjI5MTVaMGIxCzAJBgNVBAYTAlVTMQswCQYD" +
		"VQQIEwJDTzEPMA0GA1UEBxMGRGVudmVyMRwwGgYDVQQKExNQaW5nIElkZW50aXR5IENvcnAuMRcwFQYDVQQDEw5CcmlhbiBDYW1wYmVsbDCCASIwDQYJKoZIhvcNAQEB" +
		"BQADggEPADCCAQoCggEBAL64zn8/QnHYMeZ0LncoXaEde1fiLm1jHjmQsF/449IYALM9if6amFtPDy2yvz3YlRij66s5gyLCyO7ANuVRJx1NbgizcAblIgjtdf/u3WG7" +
		"K+IiZhtELto/A7Fck9Ws6SQvzRvOE8uSirYbgmj6He4iO8NCyvaK0jIQRMMGQwsU1quGmFgHIXPLfnpnfajr1rVTAwtgV5LEZ4Iel+W1GC8ugMhyr4/p1MtcIM42EA8B" +
		"zE6ZQqC7VPqPvEjZ2dbZkaBhPbiZAS3YeYBRDWm1p1OZtWamT3cEvqqPpnjL1XyW+oyVVkaZdklLQp2Btgt9qr21m42f4wTw+Xrp6rCKNb0CAwEAATANBgkqhkiG9w0B" +
		"AQUFAAOCAQEAh8zGlfSlcI0o3rYDPBB07aXNswb4ECNIKG0CETTUxmXl9KUL+9gGlqCz5iWLOgWsnrcKcY0vXPG9J1r9AqBNTqNgHq2G03X09266X5CpOe1zFo+Owb1z" +
		"xtp3PehFdfQJ610CDLEaS9V9Rqp17hCyybEpOGVwe8fnk+fbEL2Bo3UPGrpsHzUoaGpDftmWssZkhpBJKVMJyf/RuP2SmmaIzmnw9JiSlYhzo4tpzd5rFXhjRbg4zW9C" +
		"+2qok+2+qDM1iJ684gPHMIY8aLWrdgQTxkumGmTqgawR+N5MDtdPTEQ0XfIBc2cJEUyMTY5MPvACWpkA6SdS4xSvdXK3IVfOWA=="
)

// wantKeys asserts the kid, alg and problem of every key, and the codes of the
// warnings.
func wantKeys(t *testing.T, document string, keys []assertion.Key, warnings string) []assertion.Key {
	t.Helper()
	read, err := remote.Parse([]byte(document), remote.FormatAuto)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, warning := range aboutKeys(read.Warnings) {
		codes = append(codes, warning.Code)
	}
	if strings.Join(codes, " ") != warnings {
		t.Errorf("warned of %q, want %q", codes, warnings)
	}
	if len(read.Keys) != len(keys) {
		t.Fatalf("got %+v, want %d keys", read.Keys, len(keys))
	}
	for i, key := range read.Keys {
		if want := keys[i]; key.ID != want.ID || key.Algorithm != want.Algorithm || key.Problem != want.Problem || key.Unnamed != want.Unnamed {
			t.Errorf("key %d: got %+v, want %+v", i, key, want)
		}
	}
	return read.Keys
}

func TestKeySetsOfTheRFCs(t *testing.T) {
	for name, example := range map[string]struct {
		document string
		keys     []assertion.Key
		warnings string
	}{
		"RFC 7517 A.1: the EC key is for encryption": {publicA1,
			[]assertion.Key{{ID: "1", Problem: "use is not sig"}, {ID: "2011-04-29", Algorithm: "RS256"}}, remote.WarnEncryptionKey},
		"RFC 7517 A.3: shared secrets are no keys": {secretA3, nil, remote.WarnSymmetricKey + " " + remote.WarnSymmetricKey},
		"RFC 8037 A.2": {`{"keys":[` + keyEd25519 + `]}`, []assertion.Key{{}}, ""},
	} {
		t.Run(name, func(t *testing.T) { wantKeys(t, example.document, example.keys, example.warnings) })
	}
}

func TestPrivateKeysOfTheRFCs(t *testing.T) {
	for name, jwk := range map[string]string{
		"RFC 7517 A.2, EC":          privateEC,
		"RFC 7517 A.2, RSA":         privateD,
		"RFC 7517 A.2, RSA, factor": privateFactor,
		"RFC 7517 A.2, both":        privateEC + "," + privateD,
		"RFC 8037 A.1":              `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"among public ones":         keyA2 + "," + privateEC,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := remote.Parse([]byte(`{"keys":[`+jwk+`]}`), remote.FormatAuto); !errors.Is(err, remote.ErrPrivateKey) {
				t.Errorf("got %v, want ErrPrivateKey", err)
			}
		})
	}
}

// RFC 7517 App. B: in a JWK the certificate is nobody's business, whether it
// has ended or is none at all; as PEM, it is the key.
func TestCertificateOfRFC7517(t *testing.T) {
	der := must(base64.StdEncoding.DecodeString(certificateB))
	certified := must(x509.ParseCertificate(der)).PublicKey.(*rsa.PublicKey)
	named := []assertion.Key{{ID: "1b94c"}}
	for name, example := range map[string]struct {
		document string
		keys     []assertion.Key
		warnings string
	}{
		"in x5c":          {`{"keys":[` + keyB + `]}`, named, remote.WarnCertificateExpired},
		"garbage in x5c":  {`{"keys":[` + strings.Replace(keyB, certificateB, "garbage", 1) + `]}`, named, ""},
		"the certificate": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), []assertion.Key{{Unnamed: true}}, remote.WarnCertificateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range wantKeys(t, example.document, example.keys, example.warnings) {
				if !certified.Equal(key.Public) {
					t.Error("not the key of the certificate")
				}
			}
		})
	}
}
