package vectors_test

import "github.com/cambio-oauth/cambio/grants"

// verdict is what becomes of some vectors of a file.
type verdict struct {
	ids         string        // tcIds
	rs256, each grants.Reason // under the product's default policy, and under one of every algorithm
}

// verdicts gives every vector of a file its verdict. Where one differs from
// upstream's, deviations says why.
func verdicts(file string) []verdict {
	switch file {
	case signatureFile:
		return signatureVerdicts
	case cryptoFile:
		return cryptoVerdicts
	case keyFile:
		return keyVerdicts
	case encryptionFile:
		return []verdict{{"1-139", grants.Malformed, grants.Malformed}} // five parts, or JSON
	}
	return nil
}

var signatureVerdicts = []verdict{
	{"1-3 5-6 8 16", grants.AlgNotAllowed, grants.AlgNotAllowed}, // HS256, none
	{"4 7 9-15 17", grants.Malformed, grants.Malformed},
	{"18", grants.AlgNotAllowed, accepted}, // ES256
	{"19-20 22-23", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"21 24 26-30", grants.Malformed, grants.Malformed},
	{"25", grants.AlgNotAllowed, grants.KeyNotFound},      // the kid was altered
	{"31", grants.AlgNotAllowed, grants.AlgNotAllowed},    // an EC key as HMAC secret
	{"32", grants.AlgNotAllowed, grants.SignatureInvalid}, // the attacker's key inside
	{"33", accepted, accepted},                            // RS256
	{"34-35 37-38", grants.SignatureInvalid, grants.SignatureInvalid},
	{"36 39 41-45", grants.Malformed, grants.Malformed},
	{"40", grants.KeyNotFound, grants.KeyNotFound},               // the kid was altered
	{"46-258", grants.SignatureInvalid, grants.SignatureInvalid}, // PKCS #1 padding
	{"259-263", accepted, accepted},
	{"264-271", grants.AlgNotAllowed, accepted},         // RS384, RS512
	{"272-275 287-288", grants.AlgNotAllowed, accepted}, // PS256
	{"276-286 289-319", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"320-323", grants.AlgNotAllowed, accepted}, // PS384
	{"324", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"325-328", grants.AlgNotAllowed, accepted}, // PS512
	{"329-331 333 335 337 339", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"332", grants.KeyUnusable, grants.KeyUnusable}, // RS256 with a key for PS512
	{"334 336 338 340", grants.AlgNotAllowed, grants.KeyUnusable},
	{"341-344", grants.AlgNotAllowed, grants.AlgNotAllowed}, // none
	{"345 349", accepted, accepted},                         // RFC 7520 §4.1
	{"346 350", grants.AlgNotAllowed, grants.KeyUnusable},   // RFC 7520 §4.2, a key for PS256
	{"347 351", grants.AlgNotAllowed, grants.KeyUnusable},   // RFC 7520 §4.3, a key for "ES521"
	{"348 352", grants.AlgNotAllowed, grants.AlgNotAllowed}, // RFC 7520 §4.4
	{"353 355", grants.KeyUnusable, grants.KeyUnusable},     // use, key_ops
	{"354 356", grants.AlgNotAllowed, grants.KeyUnusable},
	{"357-359 376-377", grants.AlgNotAllowed, grants.AlgNotAllowed}, // the base64 group, HS256
	{"360-366 368-369 371-375", grants.Malformed, grants.Malformed},
	{"367 370", grants.AlgNotAllowed, grants.AlgNotAllowed}, // the text of 357; see base64_test.go
	{"378", grants.AlgNotAllowed, accepted},
	{"379-401", grants.AlgNotAllowed, grants.SignatureInvalid}, // ES256, r and s out of range
}

var cryptoVerdicts = []verdict{
	{"1-3 5-6 8 16", grants.AlgNotAllowed, grants.AlgNotAllowed},
	{"4 7 9-15 17", grants.Malformed, grants.Malformed},
	{"18", grants.AlgNotAllowed, accepted},
	{"19-20 22-23", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"21 24 26-30", grants.Malformed, grants.Malformed},
	{"25", grants.AlgNotAllowed, grants.KeyNotFound},
	{"31", grants.AlgNotAllowed, grants.AlgNotAllowed},
	{"32", grants.AlgNotAllowed, grants.SignatureInvalid},
	{"33", accepted, accepted},
	{"34-35 37-38", grants.SignatureInvalid, grants.SignatureInvalid},
	{"36 39 41-45", grants.Malformed, grants.Malformed},
	{"40", grants.KeyNotFound, grants.KeyNotFound},
	{"46", grants.KeyUnusable, grants.KeyUnusable}, // CVE-2017-15361
	{"47-49", grants.AlgNotAllowed, grants.AlgNotAllowed},
	{"50-83", grants.Malformed, grants.Malformed}, // JWE
}

var keyVerdicts = []verdict{
	{"1-4 10-18 25-26", grants.AlgNotAllowed, grants.AlgNotAllowed}, // HS256, HS384, HS512
	{"5", accepted, accepted},
	{"6", grants.KeyUnusable, grants.KeyUnusable}, // RSA1_5, enc
	{"7", grants.KeyUnusable, grants.KeyUnusable}, // CVE-2017-15361
	{"8", grants.KeyUnusable, grants.KeyUnusable}, // 1024 bits
	{"9", grants.KeyUnusable, grants.KeyUnusable}, // exponent 1
	{"19-21", grants.AlgNotAllowed, grants.KeyUnusable},
	{"22-24", grants.AlgNotAllowed, grants.KeyNotFound}, // not a key: no point of its curve, no modulus
}

// deviation is some vectors that upstream calls valid and we refuse. The
// reverse has no table: it must not happen.
type deviation struct {
	file, ids string
	policy    string // rs256, each or both
	why       string
}

var deviations = []deviation{
	{signatureFile, "18 264-275 287-288 320-323 325-328 378", "rs256", "the policy allows RS256 only"},
	{signatureFile, "1 348 352 357-359 376-377", "both", "HMAC: what a key URL publishes is no secret"},
	{signatureFile, "346 350", "rs256", "the policy allows RS256 only"},
	{signatureFile, "346 350", "each", "the JWK says PS256, the token PS384 (RFC 7517 §4.4)"},
	{signatureFile, "347 351", "rs256", "the policy allows RS256 only"},
	{signatureFile, "347 351", "each", `the JWK says "ES521", which is no algorithm; ES512 is (RFC 7518 §3.1)`},
	{signatureFile, "372-373", "both", "a question mark among base64url (RFC 7515 §2); it is an HMAC besides"},
	{cryptoFile, "18", "rs256", "the policy allows RS256 only"},
	{cryptoFile, "1 48", "both", "HMAC: what a key URL publishes is no secret"},
	{cryptoFile, "50 67", "both", "a JWE: nothing encrypted is a subject token"},
	{keyFile, "2 13-15", "both", "HMAC: what a key URL publishes is no secret"},
	{encryptionFile, "1 23 28-35 52-62 66-93 100-105 112 121 128-135", "both", "a JWE: nothing encrypted is a subject token"},
}
