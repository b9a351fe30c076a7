package registry_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

// maxBytesPerLockHolder is what one lock holder with one link may cost the
// memory of every replica.
const maxBytesPerLockHolder = 1024

// snapshotOf builds a snapshot of so many lock holders, each linked to one of a
// thousand integrators. As in a row of the database, every text is its own.
func snapshotOf(lockHolders int) *registry.Snapshot {
	var c registry.Contents
	for i := range min(lockHolders, 1000) {
		c.Integrators = append(c.Integrators, registry.Integrator{Object: registry.Object{ID: fmt.Sprintf("019aa2f0-7c1e-7b54-9a51-%012x", i)}, Name: fmt.Sprint("Integrator ", i), Status: registry.Active})
	}
	for i := range lockHolders {
		id := func() string { return fmt.Sprintf("019aa2f4-0b1d-7c2e-8d3f-%012x", i) }
		c.LockHolders = append(c.LockHolders, registry.LockHolder{
			Object: registry.Object{ID: id()}, Name: fmt.Sprint("Lock holder ", i),
			CountryISO: fmt.Sprintf("%c%c", 'A'+i%26, 'A'+i/26%26), OrganizationID: fmt.Sprint(900_000_000 + i), OrganizationIDSuffix: fmt.Sprint("region-", i),
		})
		c.Links = append(c.Links, registry.Link{IntegratorID: fmt.Sprintf("019aa2f0-7c1e-7b54-9a51-%012x", i%1000), LockHolderID: id()})
	}
	return registry.NewSnapshot(c)
}

// heap gives the bytes that are in use, after what is not has gone.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers held
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// bytesPerLockHolder measures a snapshot of so many.
func bytesPerLockHolder(lockHolders int) float64 {
	before := heap()
	snapshot := snapshotOf(lockHolders)
	after := heap()
	runtime.KeepAlive(snapshot)
	return float64(after-before) / float64(lockHolders)
}

// A replica holds all lock holders in memory: at most 1 KiB each, so that a
// hundred thousand take 100 MB. Maps grow by doubling, so the worst number is
// just past a power of two.
func TestMemoryOfASnapshot(t *testing.T) {
	for _, lockHolders := range []int{57_345, 65_537, 100_000, 114_689} {
		t.Run(fmt.Sprint(lockHolders, " lock holders"), func(t *testing.T) {
			got := bytesPerLockHolder(lockHolders)
			if got > maxBytesPerLockHolder || got < 50 { // less than its texts take: not measured
				t.Errorf("%.0f bytes for each of %d lock holders, want at most %d", got, lockHolders, maxBytesPerLockHolder)
			}
			t.Logf("%.0f bytes for each", got)
		})
	}
}

func BenchmarkMemoryOfASnapshot(b *testing.B) {
	var sum float64
	for b.Loop() {
		sum += bytesPerLockHolder(100_000)
	}
	b.ReportMetric(sum/float64(b.N), "B/lockholder")
}
