package demo

import (
	"fmt"
	"net"
	"strconv"

	"example.com/chat/internal/neterr"
)

func (c *cluster) checkPorts() error {
	for i, port := range c.ports {
		l, err := net.Listen("tcp", net.JoinHostPort(c.host, strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("node %d can't listen on port %d (%w): choose another --addr", i+1, port, neterr.Cause(err))
		}
		_ = l.Close()
	}
	return nil
}

// FreePorts returns n ports of the host that are free now.
func FreePorts(host string, n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // all are held until the last is found
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
