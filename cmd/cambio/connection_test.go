package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// RFC 9112 §6.1: with Content-Length beside Transfer-Encoding a proxy may see
// another end of the request; what follows it must not be answered.
func TestSmuggledRequestsAreNotAnswered(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	const smuggled = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n"
	_, err = io.WriteString(conn, "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled)
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusBadRequest || !response.Close {
		t.Fatalf("%+v %v", response, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	if rest, err := io.ReadAll(reader); len(rest) > 0 {
		t.Errorf("the smuggled request was answered: %.40q %v", rest, err)
	}
}
