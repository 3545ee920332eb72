package procstat

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestAProcessKnowsWhatItUses(t *testing.T) {
	t.Parallel()
	before, err := Of(os.Getpid())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("there is no /proc")
	}
	if err != nil {
		t.Fatal(err)
	}
	if before.Resident < 1<<20 || before.Peak < before.Resident || before.Files < 3 || before.CPU <= 0 {
		t.Errorf("%+v", before)
	}
	const work = 20 * time.Millisecond
	for after := before.CPU; after < before.CPU+work; { // until it has worked so long, however busy the machine is
		if after, err = CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Of(1 << 30); err == nil {
		t.Error("a process that does not exist uses something")
	}
}

func TestAListenerIsFound(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // a system without IPv6
		}
		defer l.Close()
		pid, err := ListenerAt(l.Addr().String())
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("there is no /proc")
		}
		if err != nil || pid != os.Getpid() {
			t.Errorf("at %s listens %d, %v; this is %d", l.Addr(), pid, err, os.Getpid())
		}
	}
	if pid, err := ListenerAt("192.0.2.1:80"); err != nil || pid != 0 {
		t.Errorf("at an address of another machine listens %d, %v", pid, err)
	}
}
