package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// post sends a form with a client's credentials, shows both ways, and demands
// success.
func (t *tour) post(path, clientID, secret string, form url.Values) (map[string]any, error) {
	return t.form(path, clientID, secret, form, true)
}

// send is post for an answer that may be a refusal.
func (t *tour) send(path, clientID, secret string, form url.Values) (map[string]any, error) {
	return t.form(path, clientID, secret, form, false)
}

func (t *tour) form(path, clientID, secret string, form url.Values, mustSucceed bool) (map[string]any, error) {
	request, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	fmt.Fprintf(t.out, "\n  POST %s   (client %s)\n", path, clientID)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprintf(t.out, "    %s = %s\n", name, shortened(form.Get(name)))
	}
	return t.do(request, mustSucceed)
}

// admin creates an object through the admin API.
func (t *tour) admin(path string, object map[string]any) (map[string]any, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.issuer+"/admin/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+t.operatorToken)
	fmt.Fprintf(t.out, "\n  POST /admin/v1%s\n    %s\n", path, body)
	return t.do(request, true)
}

func (t *tour) link(path string) error {
	request, err := http.NewRequestWithContext(t.ctx, http.MethodPut, t.issuer+"/admin/v1"+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+t.operatorToken)
	fmt.Fprintf(t.out, "\n  PUT /admin/v1%s\n", path)
	_, err = t.do(request, true)
	return err
}

func (t *tour) do(request *http.Request, mustSucceed bool) (map[string]any, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(t.out, "  -> %s\n", response.Status)
	answer := map[string]any{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		t.show(answer)
	}
	if mustSucceed && response.StatusCode >= http.StatusBadRequest {
		return nil, errors.New("the demonstration did not go as it should: " + response.Status)
	}
	return answer, nil
}

func (t *tour) fetch(address string) (string, error) {
	request, err := http.NewRequestWithContext(t.ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}

func (t *tour) heading(text string) { fmt.Fprintf(t.out, "\n== %s\n", text) }

func (t *tour) note(text string) { fmt.Fprintf(t.out, "  %s\n", text) }

// show prints the members of an answer, long texts shortened.
func (t *tour) show(answer map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		value := answer[name]
		if text, ok := value.(string); ok {
			value = shortened(text)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			continue
		}
		fmt.Fprintf(t.out, "     %s: %s\n", name, encoded)
	}
}

// decoded prints header and claims of a JWT.
func (t *tour) decoded(name, token string) {
	parts := strings.Split(token, ".")
	for i, part := range []string{"header", "claims"} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		var pretty bytes.Buffer
		if err != nil || json.Indent(&pretty, data, "     ", "  ") != nil {
			continue
		}
		fmt.Fprintf(t.out, "  %s of the %s:\n     %s\n", part, name, pretty.String())
	}
}

func shortened(text string) string {
	if strings.HasPrefix(text, "eyJ") && len(text) > 48 {
		return text[:24] + "..." + text[len(text)-12:]
	}
	return text
}

// invite prints lines that work when they are pasted.
func (t *tour) invite() {
	fmt.Fprintf(t.out, `
== Your turn: the server stays up until Ctrl-C. These lines work as they stand.

SUBJECT_TOKEN=$(curl -s '%[1]stoken?permissions=lockHolder.identifier:NO.919424508.east')

ACCESS_TOKEN=$(curl -s %[2]s/oauth2/token -u '%[3]s:%[4]s' \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  -d "subject_token=$SUBJECT_TOKEN" -d audience=https://locks.example \
  | tee /dev/stderr | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

curl -s %[2]s/oauth2/introspect -u '%[5]s:%[6]s' -d "token=$ACCESS_TOKEN" -w '\n'

curl -s %[2]s/oauth2/revoke -u '%[3]s:%[4]s' -d "token=$ACCESS_TOKEN" -w '%%{http_code}\n'

curl -s %[2]s/admin/v1/integrators -H "Authorization: Bearer %[7]s" -w '\n'

curl -s %[2]s/.well-known/oauth-authorization-server -w '\n'

The panel: %[2]s/panel/
  client id  %[8]s
  secret     %[9]s
`, t.idp.URL, t.issuer, t.clientID, t.clientSecret, t.apiID, t.apiSecret, t.operatorToken, demoOperator, t.operatorSecret)
}
