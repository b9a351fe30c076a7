package main

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// Garbage may grow to this much between two collections. By Go's default of as
// much as is in use, a replica that holds a dozen MiB collects a hundred times a
// second under load, which costs a tenth of what it can do.
const (
	garbage      = 64 << 20
	minGCPercent = 100 // of a large configuration; Go's default
	maxGCPercent = 800

	gcTuneInterval = 5 * time.Second
)

// tuneGC sets how much garbage there may be, by what is in use at the moment.
// Whoever sets GOGC knows better.
func tuneGC(context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	if live[0].Value.Kind() == runtimemetrics.KindUint64 && live[0].Value.Uint64() > 0 {
		debug.SetGCPercent(int(min(max(garbage*100/live[0].Value.Uint64(), minGCPercent), maxGCPercent)))
	}
	return nil
}
