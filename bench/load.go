package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// result is what one load measured.
type result struct {
	Rate      float64 // answers a second
	Latencies []time.Duration
	Refused   int64 // answers that were not 200
	Sample    string
}

func (r result) percentile(p float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(int(p*float64(len(r.Latencies))), len(r.Latencies)-1)]
}

// load sends requests in a closed loop: each connection sends the next one when
// it has the answer. Requests are bytes that were made before, and answers are
// read as little as they must be, so that the generator's core is not what is
// measured.
func load(address string, connections int, warm, lasting time.Duration, requests [][]byte) (result, error) {
	var next, refused atomic.Int64
	var sample atomic.Pointer[string]
	var mu sync.Mutex
	var latencies []time.Duration
	begin := time.Now().Add(warm)
	end := begin.Add(lasting)
	failures := make(chan error, connections)
	for range connections {
		go func() {
			own, err := loop(address, requests, &next, begin, end, func(status int, body []byte) {
				if status != 200 {
					refused.Add(1)
					text := fmt.Sprintf("%d %s", status, body)
					sample.CompareAndSwap(nil, &text)
				}
			})
			mu.Lock()
			latencies = append(latencies, own...)
			mu.Unlock()
			failures <- err
		}()
	}
	for range connections {
		if err := <-failures; err != nil {
			return result{}, err
		}
	}
	slices.Sort(latencies)
	r := result{Rate: float64(len(latencies)) / lasting.Seconds(), Latencies: latencies, Refused: refused.Load()}
	if text := sample.Load(); text != nil {
		r.Sample = *text
	}
	return r, nil
}

func loop(address string, requests [][]byte, next *atomic.Int64, begin, end time.Time, seen func(status int, body []byte)) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 64<<10)
	var latencies []time.Duration
	body := make([]byte, 0, 32<<10)
	for {
		sent := time.Now()
		if sent.After(end) {
			return latencies, nil
		}
		if _, err := conn.Write(requests[next.Add(1)%int64(len(requests))]); err != nil {
			return nil, err
		}
		status, read, err := readAnswer(reader, body)
		if err != nil {
			return nil, err
		}
		seen(status, read)
		if now := time.Now(); sent.After(begin) && now.Before(end) {
			latencies = append(latencies, now.Sub(sent))
		}
	}
}

// readAnswer reads one answer of HTTP/1.1, with a length or in chunks.
func readAnswer(r *bufio.Reader, into []byte) (status int, body []byte, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, nil, fmt.Errorf("status line %q: %w", line, err)
	}
	status, _ = strconv.Atoi(string(line[9:12]))
	length, chunked := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(value))
		}
		chunked = chunked || bytes.Equal(line, []byte("Transfer-Encoding: chunked"))
	}
	body = into[:0]
	for {
		if chunked {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return 0, nil, err
			}
			size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
			if err != nil {
				return 0, nil, err
			}
			length = int(size) + 2
		}
		at := len(body)
		body = slices.Grow(body, length)[:at+length]
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return 0, nil, err
		}
		if !chunked || length == 2 {
			return status, body, nil
		}
	}
}
