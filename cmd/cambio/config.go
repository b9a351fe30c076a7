package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/admin/panel/oidc"
	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

const (
	secretKeyBytes    = 32
	minOperatorSecret = 32
	minAccessTokenTTL = time.Second
	maxShutdownDelay  = time.Minute
	maxSigningKeyLife = 2 * 366 * 24 * time.Hour
)

// config is the configuration, checked.
type config struct {
	listen           string
	opsListen        string
	issuer           string // empty until the listener is known
	databaseURL      string
	secretKey        []byte // empty until ensureSecretKey
	previousKey      []byte // empty: none
	operatorID       string
	operatorSecret   string
	subjectAudiences []string
	defaultAudience  string
	keyURLAllow      []netip.Prefix
	trustedProxies   []netip.Prefix
	signingAlg       string
	signingKeyLife   time.Duration // 0: no rotation on schedule
	accessTokenTTL   time.Duration
	exchangeLog      storage.LogMode
	shutdownDelay    time.Duration
	logLevel         slog.Level
	now              func() time.Time // another one in tests

	exchangeRetention time.Duration // 0: for ever
	people            oidc.Config   // without an issuer: nobody signs in at an identity provider
}

// newConfig checks every value. An error is one line that names the key.
func newConfig(values map[string]string) (*config, error) {
	c := &config{
		now:              time.Now,
		listen:           values["listen"],
		opsListen:        values["ops_listen"],
		issuer:           values["issuer"],
		databaseURL:      values["database_url"],
		operatorID:       values["operator_client_id"],
		operatorSecret:   values["operator_client_secret"],
		subjectAudiences: strings.Fields(values["subject_audiences"]),
		defaultAudience:  values["default_audience"],
		signingAlg:       values["signing_alg"],
		exchangeLog:      storage.LogMode(values["exchange_log"]),
	}
	for _, entry := range append(c.checks(values), c.peopleChecks(values)...) {
		if err := entry.check(values[entry.key]); err != nil {
			return nil, fmt.Errorf("%s: %w", envName(entry.key), err)
		}
	}
	return c, nil
}

// check judges one value, and reads it where it is more than text.
type check struct {
	key   string
	check func(value string) error
}

func (c *config) checks(values map[string]string) []check {
	return []check{
		{"listen", checkListen},
		{"ops_listen", func(v string) error {
			if v == "" {
				return nil
			}
			return checkListen(v)
		}},
		{"issuer", checkIssuer},
		{"database_url", checkDatabase},
		{"secret_key", func(v string) (err error) { c.secretKey, err = readSecretKey(v); return err }},
		{"secret_key_previous", func(v string) (err error) { c.previousKey, err = readSecretKey(v); return c.checkPreviousKey(err) }},
		{"operator_client_secret", func(v string) error { return checkOperator(c.operatorID, v, values["secret_key"]) }},
		{"key_url_allow", func(v string) (err error) { c.keyURLAllow, err = readPrefixes(v); return err }},
		{"trusted_proxies", func(v string) (err error) { c.trustedProxies, err = readPrefixes(v); return err }},
		{"signing_alg", oneOf(signing.ES256, signing.RS256, signing.EdDSA)},
		{"signing_key_lifetime", func(v string) (err error) { c.signingKeyLife, err = readKeyLifetime(v); return err }},
		{"access_token_ttl", func(v string) (err error) { c.accessTokenTTL, err = readTTL(v); return err }},
		{"exchange_log", oneOf(string(storage.LogDurable), string(storage.LogAsync), string(storage.LogOff))},
		{"exchange_retention", func(v string) (err error) { c.exchangeRetention, err = readDays(v); return err }},
		{"subject_audiences", func(string) error { return checkAudiences(c.subjectAudiences...) }},
		{"default_audience", func(v string) error {
			if v == "" {
				return nil
			}
			return checkAudiences(v)
		}},
		{"shutdown_delay", func(v string) (err error) { c.shutdownDelay, err = readDelay(v); return err }},
		{"log_level", func(v string) error {
			if c.logLevel.UnmarshalText([]byte(v)) != nil {
				return oneOf("debug", "info", "warn", "error")(v)
			}
			return nil
		}},
	}
}

func oneOf(allowed ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("want one of %s, found %q", strings.Join(allowed, ", "), v)
		}
		return nil
	}
}

// checkAudiences holds the values against what the admin API takes.
func checkAudiences(values ...string) error {
	for _, v := range values {
		if !registry.ValidAudience(v) {
			return fmt.Errorf("want 1 to 512 bytes of printable ASCII without spaces, found %q", v)
		}
	}
	return nil
}

func checkListen(v string) error {
	if _, _, err := net.SplitHostPort(v); err != nil {
		return fmt.Errorf("want host:port, found %q", v)
	}
	return nil
}

func checkDatabase(v string) error {
	scheme, _, _ := strings.Cut(v, "://")
	if scheme != "sqlite" && scheme != "postgres" && scheme != "postgresql" {
		return errors.New("want sqlite://PATH or postgres://USER@HOST/DATABASE") // without the value: it can hold a password
	}
	return nil
}

// checkIssuer: RFC 8414 §2, without demanding https: TLS may end before us.
func checkIssuer(v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("want a URL without query and fragment, such as https://auth.example, found %q", v)
	}
	return nil
}

func readSecretKey(v string) ([]byte, error) {
	if v == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(key) != secretKeyBytes {
		return nil, errors.New("want base64 of exactly 32 random bytes: make one with `openssl rand -base64 32`")
	}
	return key, checkRandom(key)
}

func checkOperator(id, secret, secretKey string) error {
	switch {
	case (id == "") != (secret == ""):
		return errors.New("CAMBIO_OPERATOR_CLIENT_ID and CAMBIO_OPERATOR_CLIENT_SECRET go together")
	case secret != "" && len(secret) < minOperatorSecret:
		return fmt.Errorf("want at least %d characters, found %d", minOperatorSecret, len(secret))
	case secret != "" && secret == secretKey:
		return errors.New("this is CAMBIO_SECRET_KEY: one secret for two purposes is two ways to lose it")
	case secret != "" && distinct(secret) < 8:
		return errors.New("this secret is not random: make one with `openssl rand -hex 32`")
	case strings.Contains(id, ":"):
		return errors.New("a client_id cannot hold a colon (RFC 7617)")
	}
	return nil
}

func readPrefixes(v string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for text := range strings.SplitSeq(v, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("want CIDRs such as 10.0.0.0/8, found %q", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func readTTL(v string) (time.Duration, error) {
	ttl, err := time.ParseDuration(v)
	if err != nil || ttl < minAccessTokenTTL || ttl > registry.MaxAccessTokenTTL {
		return 0, fmt.Errorf("want a duration from %s to %s, such as 1h, found %q", minAccessTokenTTL, registry.MaxAccessTokenTTL, v)
	}
	return ttl, nil
}

func readKeyLifetime(v string) (time.Duration, error) {
	life, err := time.ParseDuration(v)
	if err != nil || life != 0 && (life < time.Hour || life > maxSigningKeyLife) {
		return 0, fmt.Errorf("want 0, or a duration from 1h to %s, found %q", maxSigningKeyLife, v)
	}
	return life, nil
}

func readDelay(v string) (time.Duration, error) {
	delay, err := time.ParseDuration(v)
	if err != nil || delay < 0 || delay > maxShutdownDelay {
		return 0, fmt.Errorf("want a duration from 0s to %s, found %q", maxShutdownDelay, v)
	}
	return delay, nil
}

func (c *config) checkPreviousKey(err error) error {
	if err == nil && len(c.previousKey) > 0 && bytes.Equal(c.previousKey, c.secretKey) {
		return errors.New("this is CAMBIO_SECRET_KEY itself: take it away, or set the other to the new key")
	}
	return err
}

func readDays(v string) (time.Duration, error) {
	const most = 36500 // a century
	days, err := strconv.Atoi(v)
	if err != nil || days < 0 || days > most {
		return 0, fmt.Errorf("want days, 0 to %d, such as 90, found %q", most, v)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// finish fills in what follows from the address that was taken.
func (c *config) finish(listening net.Addr) {
	if c.issuer == "" {
		c.issuer = "http://" + listening.String()
	}
	if len(c.subjectAudiences) == 0 {
		c.subjectAudiences = []string{c.issuer}
	}
	if c.defaultAudience == "" {
		c.defaultAudience = c.issuer
	}
}

// ensureSecretKey makes a secret key beside a SQLite database that only this
// machine can reach, and refuses to guess in any other case.
func (c *config) ensureSecretKey(log *slog.Logger) error {
	if len(c.secretKey) > 0 {
		return nil
	}
	database, embedded := storage.Path(c.databaseURL)
	if !embedded || !loopback(c.listen) {
		return errors.New("CAMBIO_SECRET_KEY: required with PostgreSQL or a listener beyond loopback: make one with `openssl rand -base64 32`")
	}
	path := database + ".key"
	data, err := readSecretFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, secretKeyBytes)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		data = base64.StdEncoding.EncodeToString(key)
		if err = writeOnce(path, []byte(data+"\n")); err == nil {
			log.Warn("made a secret key, for this machine only; keep it with the database, and set CAMBIO_SECRET_KEY in production", "file", path)
		}
	}
	if err != nil {
		return fmt.Errorf("secret key: %w", err)
	}
	if c.secretKey, err = readSecretKey(data); err != nil || c.secretKey == nil {
		return fmt.Errorf("secret key in %s: not usable", path)
	}
	return nil
}

func writeOnce(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func loopback(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// derive gives a key for one purpose, so that no two purposes share one.
func (c *config) derive(purpose string) ([]byte, error) { return deriveKey(c.secretKey, purpose) }

// derivePrevious gives what derive gave under the secret key of before; none
// when there is no such key.
func (c *config) derivePrevious(purpose string) ([][]byte, error) {
	if len(c.previousKey) == 0 {
		return nil, nil
	}
	key, err := deriveKey(c.previousKey, purpose)
	return [][]byte{key}, err
}

// sealer seals under a key for one purpose, and opens what was sealed under the
// secret key of before, too.
func (c *config) sealer(purpose string) (*signing.Sealer, error) {
	key, err := c.derive(purpose)
	if err != nil {
		return nil, err
	}
	previous, err := c.derivePrevious(purpose)
	if err != nil {
		return nil, err
	}
	return signing.NewSealer(key, previous...)
}

func deriveKey(secret []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "cambio "+purpose, secretKeyBytes)
}
