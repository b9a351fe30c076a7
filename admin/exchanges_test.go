package admin

import (
	"context"
	"errors"
	"testing"
)

// Whoever searches the record waits for a place, and takes none from others.
func TestReadingsAreBounded(t *testing.T) {
	a := New(Config{})
	for range maxReadings {
		if err := a.startReading(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.startReading(ctx); !errors.Is(err, errBusy) {
		t.Errorf("one too many: %v", err)
	}
	<-a.reading
	if err := a.startReading(t.Context()); err != nil {
		t.Errorf("a place that was left: %v", err)
	}
}
