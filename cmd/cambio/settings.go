package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const (
	envPrefix  = "CAMBIO_"
	fileSuffix = "_file"
)

// setting is one key of the configuration: CAMBIO_X_Y in the environment, x_y
// in the file, --x-y as a flag.
type setting struct {
	key     string
	initial string
	secret  bool // also read from a file named by x_y_file
	usage   string
}

func settings() []setting {
	return append([]setting{
		{"listen", "127.0.0.1:8080", false, "public listener: OAuth endpoints and admin API; port 0 picks one"},
		{"ops_listen", "127.0.0.1:8081", false, "listener of /metrics, /healthz and /readyz; empty turns it off"},
		{"issuer", "", false, "issuer identifier (default http:// + listen)"},
		{"database_url", "sqlite://cambio.db", true, "sqlite://PATH or postgres://..."},
		{"secret_key", "", true, "base64 of 32 random bytes: seals signing keys, peppers client secrets"},
		{"secret_key_previous", "", true, "the secret key of before: what was sealed and hashed under it still works"},
		{"operator_client_id", "", false, "client_id of an operator client to ensure at start"},
		{"operator_client_secret", "", true, "its secret, at least 32 characters"},
		{"subject_audiences", "", false, "space-separated: aud values of subject tokens (default the issuer)"},
		{"default_audience", "", false, "aud of issued tokens when none is requested (default the issuer)"},
		{"key_url_allow", "", false, "comma-separated CIDRs in which key URLs may be private and http"},
		{"trusted_proxies", "", false, "comma-separated CIDRs of proxies whose X-Forwarded-For is believed"},
		{"signing_alg", "ES256", false, "ES256, RS256 or EdDSA"},
		{"signing_key_lifetime", "2160h", false, "how long a signing key signs before the next one does; 0 leaves that to you"},
		{"access_token_ttl", "1h", false, "ceiling of an issued token's life"},
		{"exchange_log", "durable", false, "durable, async or off"},
		{"shutdown_delay", "2s", false, "how long to go on answering after /readyz says no, at the end"},
		{"exchange_retention", "90", false, "days for which records of exchanges are kept; 0 keeps them for ever"},
		{"log_level", "info", false, "debug, info, warn or error"},
	}, peopleSettings()...)
}

// load gives every setting its value: flag > environment > file > default.
// A key that nobody knows is an error: it was meant to be a rule.
func load(configFile string, flags map[string]string, environ []string) (map[string]string, error) {
	k := koanf.New("\x00") // no nesting: keys are flat
	known := map[string]setting{}
	for _, s := range settings() {
		known[s.key] = s
	}
	if configFile != "" {
		if err := k.Load(file.Provider(configFile), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
		for _, key := range k.Keys() {
			if !isKnown(known, key) {
				return nil, fmt.Errorf("%s: there is no such key in %s", key, configFile)
			}
		}
	}
	env, err := fromEnvironment(known, environ)
	if err != nil {
		return nil, err
	}
	for _, source := range []map[string]any{env, anyValues(flags)} {
		if err := k.Load(confmap.Provider(source, ""), nil); err != nil {
			return nil, err
		}
		dropShadowed(k, source)
	}
	values := map[string]string{}
	for _, s := range settings() {
		if values[s.key], err = value(k, s); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func isKnown(known map[string]setting, key string) bool {
	if s, ok := known[strings.TrimSuffix(key, fileSuffix)]; ok && strings.HasSuffix(key, fileSuffix) && s.secret {
		return true
	}
	_, ok := known[key]
	return ok
}

// dropShadowed lets x in a stronger source hide x_file of a weaker one, and
// the other way round; both in one source are caught by value.
func dropShadowed(k *koanf.Koanf, source map[string]any) {
	for key := range source {
		other := key + fileSuffix
		if base, ok := strings.CutSuffix(key, fileSuffix); ok {
			other = base
		}
		if _, both := source[other]; !both {
			k.Delete(other)
		}
	}
}

func fromEnvironment(known map[string]setting, environ []string) (map[string]any, error) {
	values := map[string]any{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || foreign(name, value) {
			continue
		}
		key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
		if !isKnown(known, key) {
			return nil, fmt.Errorf("%s: there is no such setting", name)
		}
		values[key] = value
	}
	return values, nil
}

// foreign are names that others put beside ours: our own tests, and Kubernetes
// for a service that is called cambio.
func foreign(name, value string) bool {
	return strings.HasPrefix(name, "CAMBIO_TEST_") || strings.HasPrefix(name, "CAMBIO_SERVICE_") ||
		name == "CAMBIO_PORT" || strings.HasPrefix(name, "CAMBIO_PORT_") && strings.Contains(name, "TCP") || strings.HasPrefix(value, "tcp://")
}

func anyValues(m map[string]string) map[string]any {
	values := map[string]any{}
	for key, value := range m {
		values[key] = value
	}
	return values
}

// value gives one setting, from the file that x_file names if there is one.
func value(k *koanf.Koanf, s setting) (string, error) {
	path, ok := k.Get(s.key + fileSuffix).(string)
	switch {
	case s.secret && ok && path != "" && k.Exists(s.key):
		return "", fmt.Errorf("%s and %s are both set: one of them would be ignored", envName(s.key), envName(s.key+fileSuffix))
	case s.secret && ok && path != "":
		read := readFile
		if s.key == "secret_key" || s.key == "secret_key_previous" {
			read = readSecretFile
		}
		secret, err := read(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", envName(s.key+fileSuffix), err)
		}
		return secret, nil
	case !k.Exists(s.key):
		return s.initial, nil
	}
	switch v := k.Get(s.key).(type) {
	case string:
		return v, nil
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, fmt.Sprint(part))
		}
		if s.key == "key_url_allow" || s.key == "trusted_proxies" {
			return strings.Join(parts, ","), nil
		}
		return strings.Join(parts, " "), nil
	case map[string]any:
		return "", fmt.Errorf("%s: want one value, not %d keys (%s)", envName(s.key), len(v), strings.Join(slices.Sorted(maps.Keys(v)), ", "))
	default:
		return fmt.Sprint(v), nil
	}
}

func envName(key string) string { return envPrefix + strings.ToUpper(key) }
