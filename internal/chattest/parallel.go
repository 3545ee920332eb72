package chattest

import (
	"flag"
	"strconv"
)

// RunAtOnce lets n parallel tests of the package run at once, unless -parallel says
// otherwise. It is for packages whose tests mostly wait. TestMain calls it before m.Run.
func RunAtOnce(n int) {
	flag.Parse()
	const name = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, strconv.Itoa(n)); err != nil {
		panic(err) // outside of a test there is no such flag
	}
}
