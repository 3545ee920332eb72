// Command generate writes web/dist, the scripts and style sheets that nodes serve: go generate ./web runs it in web.
package main

import (
	"fmt"
	"os"

	"example.com/chat/web/bundle"
)

func main() {
	built, err := bundle.Build(os.DirFS("."))
	if err == nil {
		err = bundle.Write(bundle.Dist, built)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
