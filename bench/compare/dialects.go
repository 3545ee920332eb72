//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"

	"example.com/chat/internal/swarm"
)

// centrifugo is Centrifugo's JSON protocol over a bidirectional WebSocket.
type centrifugo struct{}

// Path is the path of the WebSocket (swarm.Dialect).
func (centrifugo) Path() string { return "/connection/websocket" }

// firstID is the id of the command that sends message 0; those below are the login's.
const firstID = 3

// Login connects as an anonymous user, and subscribes (swarm.Dialect).
func (centrifugo) Login(_ int, room string) []swarm.Step {
	return []swarm.Step{
		{Send: `{"id":1,"connect":{}}`, Until: `"connect":{`},
		{Send: fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q}}`, room), Until: `"subscribe":{`},
	}
}

// AppendSend appends a publish command (swarm.Dialect).
func (centrifugo) AppendSend(dst []byte, room, text string, number int) []byte {
	dst = strconv.AppendInt(append(dst, `{"id":`...), int64(number+firstID), 10)
	dst = append(append(dst, `,"publish":{"channel":"`...), room...)
	dst = swarm.AppendMark(append(dst, `","data":{"key":"`...), number)
	return append(append(append(dst, `","text":"`...), text...), `"}}}`...)
}

// Read returns the kind and number of a reply or push (swarm.Dialect).
func (centrifugo) Read(message []byte) (swarm.Kind, int) {
	if bytes.HasPrefix(message, []byte(`{"push":`)) {
		return swarm.Delivered, swarm.Mark(message)
	}
	if rest, ok := bytes.CutPrefix(message, []byte(`{"id":`)); ok {
		number := leadingNumber(rest) - firstID
		switch {
		case bytes.Contains(message, []byte(`,"error":{`)):
			return swarm.Refused, number
		case number >= 0:
			return swarm.Acknowledged, number
		}
		return swarm.Other, -1
	}
	if string(message) == "{}" {
		return swarm.Ping, -1
	}
	return swarm.Other, -1
}

// Pong returns the answer to a ping of the protocol (swarm.Dialect).
func (centrifugo) Pong() []byte { return []byte("{}") }

// socketIO is Socket.IO 5 over Engine.IO 4, on a WebSocket from the start, with the
// events of socketio/server.mjs.
type socketIO struct{}

// Path is the path and query of the WebSocket (swarm.Dialect).
func (socketIO) Path() string { return "/socket.io/?EIO=4&transport=websocket" }

// Login connects to the main namespace, and joins the room (swarm.Dialect).
func (socketIO) Login(_ int, room string) []swarm.Step {
	return []swarm.Step{
		{Until: `0{"sid"`},
		{Send: "40", Until: `40{"sid"`},
		{Send: fmt.Sprintf(`420["join",%q]`, room), Until: "430["},
	}
}

// AppendSend appends an event with an acknowledgement (swarm.Dialect).
func (socketIO) AppendSend(dst []byte, room, text string, number int) []byte {
	dst = strconv.AppendInt(append(dst, "42"...), int64(number+firstID), 10)
	dst = append(append(dst, `["send",{"room":"`...), room...)
	dst = swarm.AppendMark(append(dst, `","key":"`...), number)
	return append(append(append(dst, `","text":"`...), text...), `"}]`...)
}

// Read returns the kind and number of a packet (swarm.Dialect).
func (socketIO) Read(message []byte) (swarm.Kind, int) {
	switch {
	case bytes.HasPrefix(message, []byte(`42["message"`)):
		return swarm.Delivered, swarm.Mark(message)
	case bytes.HasPrefix(message, []byte("43")):
		return swarm.Acknowledged, leadingNumber(message[2:]) - firstID
	case bytes.HasPrefix(message, []byte("44")):
		return swarm.Refused, -1
	case string(message) == "2":
		return swarm.Ping, -1
	}
	return swarm.Other, -1
}

// Pong returns the answer to a ping of the protocol (swarm.Dialect).
func (socketIO) Pong() []byte { return []byte("3") }

// leadingNumber returns the number at the front of b; 0 if there is none.
func leadingNumber(b []byte) int {
	n := 0
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		n = 10*n + int(d-'0')
	}
	return n
}
