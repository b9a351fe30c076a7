//go:build linux

package chaos

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is a TCP proxy before a database, on which faults can be put.
type wire struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	healed  *sync.Cond
	swallow bool          // nothing passes and nothing is refused
	delay   time.Duration // of every packet towards the database
	conns   map[net.Conn]bool
	closed  bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, to: to, conns: map[net.Conn]bool{}}
	w.healed = sync.NewCond(&w.mu)
	go w.accept()
	t.Cleanup(w.close)
	return w
}

func (w *wire) port() int { return w.listener.Addr().(*net.TCPAddr).Port }

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		if !w.hold(client) {
			continue
		}
		go w.join(client)
	}
}

// hold remembers a connection, to cut it.
func (w *wire) hold(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = conn.Close()
		return false
	}
	w.conns[conn] = true
	return true
}

func (w *wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(w.conns, conn)
	}
}

func (w *wire) join(client net.Conn) {
	w.pass(false)
	server, err := net.DialTimeout("tcp", w.to, 3*time.Second)
	if err != nil {
		w.drop(client)
		return
	}
	if !w.hold(server) {
		w.drop(client)
		return
	}
	go w.copy(server, client, true)
	w.copy(client, server, false)
	w.drop(client, server)
}

func (w *wire) copy(to, from net.Conn, delayed bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			w.pass(delayed)
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			if err == io.EOF {
				w.pass(false) // the end is swallowed, too
			}
			break
		}
	}
	_ = to.Close()
}

// pass waits until the wire lets a packet through.
func (w *wire) pass(delayed bool) {
	w.mu.Lock()
	for w.swallow && !w.closed {
		w.healed.Wait()
	}
	delay := w.delay
	w.mu.Unlock()
	if delayed && delay > 0 {
		time.Sleep(delay)
	}
}

// blackHole swallows everything from now on, or lets it through again.
func (w *wire) blackHole(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.swallow = on
	w.healed.Broadcast()
}

func (w *wire) slow(delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = delay
}

// cut breaks every connection that there is.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		_ = conn.Close()
	}
	clear(w.conns)
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	w.closed = true
	w.healed.Broadcast()
	w.mu.Unlock()
	w.cut()
}
