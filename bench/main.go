package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	modulus := flag.String("floor", "", "be the floor, for tokens of this modulus")
	secret := flag.String("secret", "", "of the floor's client")
	binary := flag.String("cambio", "bin/cambio", "the program to measure")
	quick := flag.Bool("quick", false, "one round of two seconds")
	only := flag.String("only", "", "servers whose name holds this, and the floor")
	out := flag.String("out", "", "folder for the pictures; the tables go to standard output")
	flag.Parse()
	if *modulus != "" {
		log.Fatal(serveFloor(*modulus, *secret))
	}
	plan := plan{binary: *binary, rounds: 3, lasting: 5 * time.Second, tokens: 20_000, only: *only, out: *out, quick: *quick}
	if *quick {
		plan.rounds, plan.lasting, plan.tokens = 1, 2*time.Second, 4_000
	}
	if err := measure(plan); err != nil {
		log.Fatal(err)
	}
}

// pin keeps this process on the second core: the first is the servers'.
func pin() error {
	var set unix.CPUSet
	set.Set(1)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		var id int
		if _, err := fmt.Sscan(task.Name(), &id); err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}
