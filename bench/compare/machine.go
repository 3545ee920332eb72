//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where a run took place.
type machine struct {
	date, model, memory, kernel, golang, redis, load string
	processors                                       int
}

// thisMachine describes this one.
func thisMachine(ctx context.Context) machine {
	m := machine{
		date:  time.Now().UTC().Format("2006-01-02"),
		model: procField("/proc/cpuinfo", "model name"), memory: procField("/proc/meminfo", "MemTotal"),
		kernel: output(ctx, "uname", "-r"), golang: strings.Replace(runtime.Version(), "go", "Go ", 1),
		processors: runtime.NumCPU(), redis: "unknown", load: "unknown",
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(text), " ")
	}
	var kilobytes float64
	if _, err := fmt.Sscan(m.memory, &kilobytes); err == nil {
		m.memory = fmt.Sprintf("%.0f GiB", kilobytes/(1<<20))
	}
	for word := range strings.FieldsSeq(output(ctx, "redis-server", "--version")) {
		if version, ok := strings.CutPrefix(word, "v="); ok {
			m.redis = version
		}
	}
	return m
}

// procField returns the first value of a name in a file of /proc.
func procField(file, name string) string {
	text, _ := os.ReadFile(file) // "" where it is not there
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
