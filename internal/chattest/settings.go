package chattest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Environment variables that decide how much tests do. CONTRIBUTING.md lists them
// with the tests that each of them concerns.
const (
	longEnv    = "CHAT_LONG"    // 1: run the long tests, and the others at full length
	measureEnv = "CHAT_MEASURE" // 1: measure times and costs, with nothing else running
	seedEnv    = "CHAT_SEED"    // repeats a run
	countEnv   = "CHAT_COUNT"   // seeds, rounds, clients or connections of a test
	forEnv     = "CHAT_FOR"     // how long a test injects faults, as "30m"
	outEnv     = "CHAT_OUT"     // folder for pictures, tables and histories
	suitesEnv  = "CHAT_SUITES"  // 0: leave out the suites that CI runs by themselves
)

// on reports whether a switch is set.
func on(env string) bool {
	value := os.Getenv(env)
	return value != "" && value != "0"
}

// Long reports whether tests run at full length.
func Long() bool { return on(longEnv) }

// EndIfSuitesRunLater ends the test process with status 0 if CHAT_SUITES=0 is set: test/faults,
// test/badnet and test/sim then have runs of their own, with nothing beside them. TestMain
// calls it first.
func EndIfSuitesRunLater() {
	if os.Getenv(suitesEnv) == "0" {
		fmt.Println(suitesEnv + "=0 leaves this suite to a run of its own")
		os.Exit(0)
	}
}

// NeedLong skips a long test unless CHAT_LONG=1 is set.
func NeedLong(t testing.TB) {
	t.Helper()
	if !Long() {
		t.Skip("a long test: " + longEnv + "=1 runs it")
	}
}

// Measure reports whether the machine is free for measurements.
func Measure() bool { return on(measureEnv) }

// NeedMeasure skips a test that measures times or costs, and so needs the whole
// machine, unless CHAT_MEASURE=1 is set.
func NeedMeasure(t testing.TB) {
	t.Helper()
	if !Measure() {
		t.Skip("a measurement, which needs the whole machine: " + measureEnv + "=1 runs it")
	}
}

// Seed returns the seed that CHAT_SEED gives; ok is false if it gives none.
func Seed() (seed uint64, ok bool) {
	return setting(seedEnv, func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) })
}

// SeedOrNew returns the seed that CHAT_SEED gives, else a random one, and prints how
// to repeat the run.
func SeedOrNew() uint64 {
	const most = 1_000_000 // easy to type
	seed, ok := Seed()
	if !ok {
		seed = rand.Uint64N(most) + 1
	}
	fmt.Println(Repeat(seed))
	return seed
}

// Repeat returns the words that explain how to repeat a run.
func Repeat(seed uint64) string { return fmt.Sprintf("%s=%d repeats this run", seedEnv, seed) }

// Count returns the number that CHAT_COUNT gives, else usual, or long if tests run at
// full length.
func Count(usual, long int) int {
	if n, ok := setting(countEnv, strconv.Atoi); ok {
		return n
	}
	if Long() {
		return long
	}
	return usual
}

// For returns the duration that CHAT_FOR gives, else usual.
func For(usual time.Duration) time.Duration {
	if d, ok := setting(forEnv, time.ParseDuration); ok {
		return d
	}
	return usual
}

// OutDir returns the folder that CHAT_OUT names, which it makes if needed, "" if
// there is none. A relative path is that of the package's folder.
func OutDir() string {
	dir := os.Getenv(outEnv)
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			panic(fmt.Sprintf("%s: %v", outEnv, err))
		}
	}
	return dir
}

// setting parses an environment variable; ok is false if it is not set. It panics if
// the value can't be parsed, since a test that ignores it would test something else.
func setting[T any](env string, parse func(string) (T, error)) (value T, ok bool) {
	text := os.Getenv(env)
	if text == "" {
		return value, false
	}
	value, err := parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s=%q: %v", env, text, err))
	}
	return value, true
}

// settings are the variables that decide how much tests do.
var settings = []string{"CI", longEnv, measureEnv, seedEnv, countEnv, forEnv, outEnv, suitesEnv}

// IsSetting reports whether an environment variable decides how much tests do.
func IsSetting(name string) bool { return slices.Contains(settings, name) }

// WithoutSettings returns an environment without these variables, for tests that run
// other tests.
func WithoutSettings(env []string) []string {
	for _, name := range settings {
		env = append(env, name+"=")
	}
	return env
}
