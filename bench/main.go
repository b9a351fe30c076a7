package main

import (
	"flag"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
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
	plan := plan{binary: *binary, rounds: 3, lasting: 3 * time.Second, tokens: 20_000, only: *only, out: *out, quick: *quick}
	if *quick {
		plan.rounds, plan.lasting, plan.tokens = 1, 2*time.Second, 4_000
	}
	if err := measure(plan); err != nil {
		log.Fatal(err)
	}
}

// pin keeps all threads of this process on the second core: the first is the
// servers'.
func pin() error {
	runtime.GOMAXPROCS(1)
	return exec.Command("taskset", "-a", "-c", "-p", "1", strconv.Itoa(os.Getpid())).Run()
}
