//go:build !linux

package chaos

import "testing"

// The rig freezes, limits and unmounts by means that only Linux has.
func TestChaosNeedsLinux(t *testing.T) {
	t.Skip("the fault scenarios run on Linux only: nothing was tested here")
}
