package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// floor is what nobody can be faster than with net/http and the standard
// library's arithmetic: no storage, no policy, one key for each side.
type floor struct {
	subject *rsa.PublicKey
	key     *ecdsa.PrivateKey
	secret  string
}

type floorClaims struct {
	Issuer      string   `json:"iss"`
	Subject     string   `json:"sub"`
	Expires     int64    `json:"exp"`
	Scope       string   `json:"scope,omitempty"`
	ID          string   `json:"jti,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

var errFloor = errors.New("invalid")

// serveFloor is the process of the floor: it reads the public key of the subject
// tokens from a file and says where it listens.
func serveFloor(modulusFile, secret string) error {
	modulus, err := os.ReadFile(modulusFile)
	if err != nil {
		return err
	}
	f := &floor{subject: &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}, secret: secret}
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", f.token)
	mux.HandleFunc("POST /oauth2/introspect", f.introspect)
	fmt.Println(listener.Addr())
	return http.Serve(listener, mux)
}

func (f *floor) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	_, secret, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(secret), []byte(f.secret)) != 1 {
		http.Error(w, "client", http.StatusUnauthorized)
		return
	}
	claims := floorClaims{Subject: "client", Scope: "read"}
	if token := r.PostForm.Get("subject_token"); token != "" {
		var err error
		if claims, err = f.verifySubject(token); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		claims.Scope, claims.Permissions = strings.Join(claims.Permissions, " "), nil
	}
	claims.Issuer, claims.Expires, claims.ID = "http://floor", time.Now().Add(time.Hour).Unix(), rand.Text()
	token, err := f.sign(claims)
	if err != nil {
		http.Error(w, "sign", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": claims.Scope})
}

func (f *floor) verifySubject(token string) (claims floorClaims, err error) {
	signed, payload, signature, err := split(token)
	if err != nil {
		return claims, err
	}
	hash := sha256.Sum256([]byte(signed))
	if rsa.VerifyPKCS1v15(f.subject, crypto.SHA256, hash[:], signature) != nil {
		return claims, errFloor
	}
	if err := json.Unmarshal(payload, &claims); err != nil || time.Now().Unix() > claims.Expires {
		return claims, errFloor
	}
	return claims, nil
}

func (f *floor) introspect(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	_, secret, _ := r.BasicAuth()
	signed, payload, signature, err := split(r.PostForm.Get("token"))
	if err != nil || subtle.ConstantTimeCompare([]byte(secret), []byte(f.secret)) != 1 {
		http.Error(w, "client", http.StatusUnauthorized)
		return
	}
	hash := sha256.Sum256([]byte(signed))
	var claims floorClaims
	if len(signature) != 64 || !ecdsa.Verify(&f.key.PublicKey, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) ||
		json.Unmarshal(payload, &claims) != nil {
		answer(w, map[string]any{"active": false})
		return
	}
	answer(w, map[string]any{"active": true, "iss": claims.Issuer, "sub": claims.Subject, "exp": claims.Expires, "scope": claims.Scope, "jti": claims.ID})
}

func split(token string) (signed string, payload, signature []byte, err error) {
	end := strings.LastIndexByte(token, '.')
	middle := strings.IndexByte(token, '.')
	if middle < 0 || end <= middle {
		return "", nil, nil, errFloor
	}
	if payload, err = base64.RawURLEncoding.DecodeString(token[middle+1 : end]); err == nil {
		signature, err = base64.RawURLEncoding.DecodeString(token[end+1:])
	}
	return token[:end], payload, signature, err
}

func (f *floor) sign(claims floorClaims) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"floor"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, hash[:])
	if err != nil {
		return "", err
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body)
}
