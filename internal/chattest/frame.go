package chattest

import (
	"strconv"
	"strings"

	"example.com/chat/internal/protocol"
)

// Frame is any event of the protocol as a Client reads it: it has the fields of all
// events, in their JSON form.
type Frame struct {
	Type      string               `json:"type"`
	Ref       any                  `json:"ref"`
	Room      string               `json:"room"`
	ID        string               `json:"id"`
	Key       string               `json:"key"`
	Text      string               `json:"text"`
	Time      int64                `json:"time"`
	User      User                 `json:"user"`
	Node      any                  `json:"node"` // an object in welcome, an id in message
	Nodes     []Node               `json:"nodes"`
	Token     string               `json:"token"`
	Version   int                  `json:"version"`
	Head      string               `json:"head"`
	Recovered bool                 `json:"recovered"`
	Messages  []Frame              `json:"messages"`
	Members   []User               `json:"members"`
	Joined    []User               `json:"joined"`
	Left      []User               `json:"left"`
	Count     int                  `json:"count"`
	Duplicate bool                 `json:"duplicate"`
	More      bool                 `json:"more"`
	Code      string               `json:"code"`
	Message   string               `json:"message"`
	Retry     int64                `json:"retry_after"`
	Broker    string               `json:"broker"`
	Action    string               `json:"action"`
	Until     int64                `json:"until"`
	Reason    string               `json:"reason"`
	Limits    protocol.Limits      `json:"limits"`
	Rooms     []protocol.RoomCount `json:"rooms"`

	Rules []protocol.BindingRule `json:"rules"`

	// Raw is the JSON itself.
	Raw string `json:"-"`
}

// User is a user in a Frame.
type User = protocol.User

// Node is a node in a Frame.
type Node = protocol.Node

// Seq returns the sequence number of the frame's id.
func (f Frame) Seq() int {
	_, text, _ := strings.Cut(f.ID, "-")
	n, _ := strconv.Atoi(text)
	return n
}
