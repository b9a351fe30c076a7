package admin

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// Whoever searches the record waits for a place, and takes none from others: not
// from those who do something else, and an integrator none from another.
func TestReadingsAreBounded(t *testing.T) {
	r := newReadings()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	leave, err := r.start(t.Context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.start(gone, "busy"); !errors.Is(err, errBusy) {
			t.Errorf("a second one of the same integrator: %v", err)
		}
	}
	for i := 1; i < maxReadings; i++ {
		if _, err := r.start(t.Context(), fmt.Sprint("other ", i)); err != nil {
			t.Errorf("another integrator's: %v", err)
		}
	}
	if _, err := r.start(gone, "one more"); !errors.Is(err, errBusy) {
		t.Errorf("one too many: %v", err)
	}
	leave()
	for range 3 { // who gave up has left nothing behind
		again, err := r.start(t.Context(), "busy")
		if err != nil {
			t.Fatal(err)
		}
		again()
	}
}
