//go:build unix

package faults

import (
	"testing"
)

type proxy struct{}

func startProxy(t *testing.T, target string) *proxy { return nil }
func (p *proxy) addr() string                       { return "" }
