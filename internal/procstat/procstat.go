// Package procstat reads what processes of this machine use.
package procstat

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
)

// Usage is what a process uses.
type Usage struct {
	// CPU is the processor time since the start, in the kernel and outside, of all
	// threads, also of those that have ended.
	CPU time.Duration
	// Resident is the resident memory, Peak the most of it since the start or since
	// it was reset (proc(5), clear_refs), in bytes.
	Resident, Peak int
	// Files is the number of open file descriptors.
	Files int
}

// Of returns what a process uses. The error wraps errors.ErrUnsupported where there is
// no /proc.
func Of(pid int) (Usage, error) {
	p, err := process(pid)
	if err != nil {
		return Usage{}, err
	}
	cpu, err := CPU(pid)
	if err != nil {
		return Usage{}, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return Usage{}, err
	}
	files, err := p.FileDescriptorsLen()
	if err != nil {
		return Usage{}, err
	}
	return Usage{CPU: cpu, Resident: int(status.VmRSS), Peak: int(status.VmHWM), Files: files}, nil
}

// Listener returns the id of the process that listens on a TCP port of this machine, 0
// if there is none, or if it belongs to another user. The error wraps
// errors.ErrUnsupported where there is no /proc.
func Listener(port int) (int, error) {
	fs, err := filesystem()
	if err != nil {
		return 0, err
	}
	var sockets []string
	table, err := fs.NetTCP() //nolint:staticcheck // deprecated for tables of many thousands; this is not called often
	if err != nil {
		return 0, err
	}
	table6, err := fs.NetTCP6() //nolint:staticcheck // as above
	if err != nil {
		table6 = nil // a system without IPv6
	}
	const listening = 10 // include/net/tcp_states.h in Linux
	for _, line := range append(table, table6...) {
		if line.LocalPort == uint64(port) && line.St == listening {
			sockets = append(sockets, "socket:["+strconv.FormatUint(line.Inode, 10)+"]")
		}
	}
	all, err := fs.AllProcs()
	if err != nil || len(sockets) == 0 {
		return 0, err
	}
	for _, p := range all {
		targets, err := p.FileDescriptorTargets()
		if err == nil && slices.ContainsFunc(targets, func(t string) bool { return slices.Contains(sockets, t) }) {
			return p.PID, nil
		}
	}
	return 0, nil
}

// ListenerAt is Listener for an address; 0 if it is not of this machine.
func ListenerAt(address string) (int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	ips, err := net.LookupIP(host)
	if err != nil {
		return 0, err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return 0, err
	}
	for _, ip := range ips {
		if ip.IsLoopback() || slices.ContainsFunc(own, func(a net.Addr) bool {
			network, ok := a.(*net.IPNet)
			return ok && network.IP.Equal(ip)
		}) {
			return Listener(port)
		}
	}
	return 0, nil
}

func filesystem() (procfs.FS, error) {
	fs, err := procfs.NewDefaultFS()
	if err == nil {
		_, err = fs.Self()
	}
	if err != nil {
		return fs, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return fs, nil
}

func process(pid int) (procfs.Proc, error) {
	fs, err := filesystem()
	if err != nil {
		return procfs.Proc{}, err
	}
	return fs.Proc(pid)
}
