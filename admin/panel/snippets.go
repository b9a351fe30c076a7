package panel

import "strings"

// snippet is code that works as it stands, but for the user's token.
type snippet struct{ ID, Name, Text string }

// snippets exchange a token by curl, Node.js and Go. The secret is not in them:
// it comes from the environment, as it should in production.
func snippets(issuer string, c client) []snippet {
	fill := strings.NewReplacer("ISSUER", issuer, "CLIENT_ID_VALUE", c.ClientID)
	if !c.HasSecret() {
		return []snippet{{"curl", "curl", fill.Replace(curlPublic)}}
	}
	return []snippet{
		{"curl", "curl", fill.Replace(curlSecret)},
		{"node", "Node.js 20", fill.Replace(nodeSecret)},
		{"go", "Go", fill.Replace(goSecret)},
	}
}

const curlPublic = `curl -sS ISSUER/oauth2/token \
  -d client_id=CLIENT_ID_VALUE \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  --data-urlencode subject_token="$SUBJECT_TOKEN"`

const curlSecret = `curl -sS ISSUER/oauth2/token \
  -u "CLIENT_ID_VALUE:$CLIENT_SECRET" \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  --data-urlencode subject_token="$SUBJECT_TOKEN"`

const nodeSecret = `const answer = await fetch("ISSUER/oauth2/token", {
  method: "POST",
  headers: {
    authorization: "Basic " + btoa("CLIENT_ID_VALUE:" + process.env.CLIENT_SECRET),
  },
  body: new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    subject_token: process.env.SUBJECT_TOKEN,
  }),
});
const token = await answer.json();
if (!answer.ok) throw new Error(token.reason + ": " + token.error_description);
console.log(token.access_token);`

const goSecret = `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

func main() {
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {os.Getenv("SUBJECT_TOKEN")},
	}
	request, err := http.NewRequest(http.MethodPost, "ISSUER/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	request.SetBasicAuth("CLIENT_ID_VALUE", os.Getenv("CLIENT_SECRET"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Status, string(body))
}`
