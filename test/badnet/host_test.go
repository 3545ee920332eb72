//go:build linux

package badnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/chat/internal/chattest"
)

// mtu is the MTU of all lines, in bytes.
const mtu = 1500

// host is a machine of its own: a network namespace whose only way out is a TUN
// device. Its namespace ends with the last of its processes and descriptors.
type host struct {
	t    *testing.T
	name string
	ip   string
	ns   int      // the namespace
	tun  *os.File // its packets
	work chan func()
	done sync.WaitGroup
}

// newHost makes a host, which ends with the test. If that is not possible, it skips the
// test.
func newHost(t *testing.T, name, ip string) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may make network namespaces")
	}
	h := &host{t: t, name: name, ip: ip, work: make(chan func())}
	ready := make(chan error)
	// The thread stays in the namespace and ends with the goroutine, which close
	// ends. Processes that it starts die with it.
	h.done.Go(func() {
		runtime.LockOSThread()
		err := h.enter()
		ready <- err
		if err != nil {
			return
		}
		for f := range h.work {
			f()
		}
	})
	err := <-ready
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		t.Skipf("no network namespaces here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// enter gives the calling thread a namespace of its own.
func (h *host) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	h.ns = ns
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	if err := h.configure(fd); err != nil {
		_ = unix.Close(fd)
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("configure the TUN device: %w", err)
	}
	h.tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	return nil
}

// configure makes the TUN device, gives it the host's address in a network of
// 255 hosts, and brings it and the loopback up (netdevice(7)).
func (h *host) configure(tun int) error {
	const device = "net0"
	request := func(fd int, name string, code uint, set func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = set(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, code, r)
		}
		if err != nil {
			return fmt.Errorf("configure %s of %s: %w", name, h.name, err)
		}
		return nil
	}
	address := func(text string) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { return r.SetInet4Addr(net.ParseIP(text).To4()) }
	}
	up := func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	return errors.Join(
		request(tun, device, unix.TUNSETIFF, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI); return nil }),
		request(socket, device, unix.SIOCSIFADDR, address(h.ip)),
		request(socket, device, unix.SIOCSIFNETMASK, address("255.255.255.0")),
		request(socket, device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil }),
		request(socket, device, unix.SIOCSIFFLAGS, up),
		request(socket, "lo", unix.SIOCSIFFLAGS, up),
	)
}

func (h *host) close() {
	close(h.work)
	h.done.Wait()
	_ = h.tun.Close()
	_ = unix.Close(h.ns)
}

// inside calls f in a thread of the host's namespace, which ends with the call.
func (h *host) inside(f func()) {
	var call sync.WaitGroup
	call.Go(func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
		if err := unix.Setns(h.ns, unix.CLONE_NEWNET); err != nil {
			panic("badnet: enter the namespace of " + h.name + ": " + err.Error())
		}
		f()
	})
	call.Wait()
}

// dial connects to an address from the host.
func (h *host) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	h.inside(func() { c, err = new(net.Dialer).DialContext(ctx, network, addr) })
	return c, err
}

// start runs a program on the host; it is killed when the test ends.
func (h *host) start(dir string, env []string, path string, args ...string) *chattest.Process {
	h.t.Helper()
	out := new(chattest.Output) // standard output and standard error
	return chattest.Start(h.t, chattest.Command{
		Path: path, Args: args, Env: env, Dir: dir, Stdout: out, Stderr: out,
		Attributes: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
		Start: func(start func() error) error {
			started := make(chan error)
			h.work <- func() { started <- start() }
			return <-started
		},
	})
}

// await waits until something listens at an address of the host.
func (h *host) await(p *chattest.Process, addr string) {
	h.t.Helper()
	chattest.Eventually(h.t, h.name+" to listen at "+addr, func() bool {
		if p.Ended() {
			h.t.Fatalf("%s has ended: %s", p.Cmd.Path, p.Out())
		}
		c, err := h.dial(h.t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
