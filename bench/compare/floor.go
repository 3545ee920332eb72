//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The floor is what no server in one process can get below by much: one epoll loop, and
// a write(2) of the same bytes to each member of a room. It has no Redis, no log and no
// rules, understands just what the clients of this benchmark send, and forgets clients
// that do not take their bytes. It speaks the dialect of chat.

// floorServer is the floor. One goroutine uses it.
type floorServer struct {
	poll, listener int
	clients        map[int32]*floorClient
	rooms          map[string][]*floorClient
	in, out        []byte
	entries        int
}

// floorClient is one connection.
type floorClient struct {
	fd   int
	open bool // it is a WebSocket
	in   []byte
}

// runFloor serves on a free port of the loopback until the process is killed.
func runFloor() error {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(listener, 1024); err != nil {
		return err
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, listener, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(listener)}); err != nil {
		return err
	}
	inet, _ := address.(*unix.SockaddrInet4)
	fmt.Fprintf(os.Stdout, "node http://127.0.0.1:%d\n", inet.Port)
	f := &floorServer{poll: poll, listener: listener, clients: make(map[int32]*floorClient),
		rooms: make(map[string][]*floorClient), in: make([]byte, 64<<10)}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(poll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(0, n)] {
			f.event(e.Fd)
		}
	}
}

// event handles a descriptor that has something.
func (f *floorServer) event(fd int32) {
	if int(fd) == f.listener {
		client, _, err := unix.Accept4(f.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(client, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, client, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(client)})
		f.clients[int32(client)] = &floorClient{fd: client}
		return
	}
	c := f.clients[fd]
	n, err := unix.Read(c.fd, f.in)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != nil || n == 0 {
		f.forget(c)
		return
	}
	c.in = append(c.in, f.in[:n]...)
	f.parse(c)
}

// forget closes a connection.
func (f *floorServer) forget(c *floorClient) {
	_ = unix.Close(c.fd)
	delete(f.clients, int32(c.fd))
	for name, members := range f.rooms {
		for i, m := range members {
			if m == c {
				f.rooms[name] = append(members[:i:i], members[i+1:]...)
				break
			}
		}
	}
}

// parse handles what a client has sent completely.
func (f *floorServer) parse(c *floorClient) {
	data := c.in
	if !c.open {
		end := bytes.Index(data, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		data, c.open = data[end+4:], true
		// The answer to the key that swarm sends.
		_, _ = unix.Write(c.fd, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"))
	}
	for {
		head, size := 6, 0 // with the mask, which is zero
		if len(data) >= 2 {
			if size = int(data[1] & 0x7f); size == 126 {
				if head = 8; len(data) >= head {
					size = int(binary.BigEndian.Uint16(data[2:]))
				}
			}
		}
		if len(data) < head+size || len(data) < 2 {
			break
		}
		f.command(c, data[head:head+size])
		data = data[head+size:]
	}
	c.in = append(c.in[:0], data...)
}

// command carries out a command.
func (f *floorServer) command(c *floorClient, text []byte) {
	room := field(text, "room")
	switch kind := field(text, "type"); string(kind) {
	case "hello":
		f.reply(c, `{"type":"welcome"}`)
	case "join":
		f.rooms[string(room)] = append(f.rooms[string(room)], c)
		f.reply(c, `{"type":"joined"}`)
	case "send":
		f.entries++
		key := field(text, "key")
		f.reply(c, fmt.Sprintf(`{"type":"sent","room":"%s","key":"%s","id":"1795973407058-%d","time":1795973407058,"duplicate":false}`, room, key, f.entries))
		f.frame(fmt.Sprintf(`{"type":"message","id":"1795973407058-%d","room":"%s","time":1795973407058,"key":"%s",`+
			`"user":{"id":"g77e4a5558a47513ba33a619d","name":"guest-cdmx2"},"text":"%s","node":"floor"}`, f.entries, room, key, field(text, "text")))
		for _, member := range f.rooms[string(room)] {
			_, _ = unix.Write(member.fd, f.out) // a full socket loses it, which the clients count
		}
	}
}

// reply writes a message to one client.
func (f *floorServer) reply(c *floorClient, text string) {
	f.frame(text)
	_, _ = unix.Write(c.fd, f.out)
}

// frame makes a frame of a text in f.out.
func (f *floorServer) frame(text string) {
	f.out = append(f.out[:0], 0x81)
	if len(text) < 126 {
		f.out = append(f.out, byte(len(text)))
	} else {
		f.out = append(f.out, 126, byte(len(text)>>8), byte(len(text)))
	}
	f.out = append(f.out, text...)
}

// field returns a string of a JSON object that holds no escapes.
func field(text []byte, name string) []byte {
	_, rest, _ := bytes.Cut(text, []byte(strconv.Quote(name)+`:"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return value
}
