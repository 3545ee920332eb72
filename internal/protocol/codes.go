package protocol

import (
	"fmt"
	"net/http"
)

// Code is the stable name of an error, for programs. Its message is for people and may
// change.
type Code string

// The error codes of the protocol.
const (
	CodeBadJSON      Code = "bad_json"
	CodeUnknownType  Code = "unknown_type"
	CodeBadField     Code = "bad_field"
	CodeHelloFirst   Code = "hello_first"
	CodeBadName      Code = "bad_name"
	CodeNameTaken    Code = "name_taken"
	CodeBadRoom      Code = "bad_room"
	CodeNotJoined    Code = "not_joined"
	CodeNotFound     Code = "not_found"
	CodeTooLong      Code = "too_long"
	CodeTooManyRooms Code = "too_many_rooms"
	CodeRateLimited  Code = "rate_limited"
	CodeMuted        Code = "muted"
	CodeLocked       Code = "locked"
	CodeSlowMode     Code = "slow_mode"
	CodeUnauthorized Code = "unauthorized"
	CodeForbidden    Code = "forbidden"
	CodeUnavailable  Code = "unavailable"
	CodeInternal     Code = "internal"
)

// CodeInfo holds the properties of an error code.
type CodeInfo struct {
	// Status is the HTTP status of an answer with the code.
	Status int
	// Retry reports whether the same command may succeed later, unchanged.
	Retry bool
}

// Codes holds all error codes.
var Codes = map[Code]CodeInfo{
	CodeBadJSON:      {http.StatusBadRequest, false},
	CodeUnknownType:  {http.StatusBadRequest, false},
	CodeBadField:     {http.StatusBadRequest, false},
	CodeHelloFirst:   {http.StatusBadRequest, false},
	CodeBadName:      {http.StatusBadRequest, false},
	CodeNameTaken:    {http.StatusConflict, false},
	CodeBadRoom:      {http.StatusBadRequest, false},
	CodeNotJoined:    {http.StatusBadRequest, false},
	CodeNotFound:     {http.StatusNotFound, false},
	CodeTooLong:      {http.StatusRequestEntityTooLarge, false},
	CodeTooManyRooms: {http.StatusBadRequest, false},
	CodeRateLimited:  {http.StatusTooManyRequests, true},
	CodeMuted:        {http.StatusForbidden, true},
	CodeLocked:       {http.StatusForbidden, false},
	CodeSlowMode:     {http.StatusTooManyRequests, true},
	CodeUnauthorized: {http.StatusUnauthorized, false},
	CodeForbidden:    {http.StatusForbidden, false},
	CodeUnavailable:  {http.StatusServiceUnavailable, true},
	CodeInternal:     {http.StatusInternalServerError, true},
}

// The close codes of the WebSocket transport (RFC 6455 section 7.4 and the
// protocol's own, from 4000 on).
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
	CloseBinary    = 1003
	CloseNotUTF8   = 1007
	CloseTooLarge  = 1009
	CloseInternal  = 1011
	CloseDraining  = 1012
	CloseFull      = 1013
	CloseNoHello   = 4001
	CloseKicked    = 4003
	CloseSlow      = 4008
	CloseAbuse     = 4009
)

// Error is the refusal of a command, both an event and a Go error. Message is one English
// sentence that says what to do.
type Error struct {
	Code    Code
	Message string
	// Room and Key are those of the command; "" if it has none.
	Room, Key string
	// RetryAfter is how long to wait before trying again, in milliseconds; 0 if waiting
	// does not help or the time is unknown.
	RetryAfter int64
}

// Errorf returns an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
