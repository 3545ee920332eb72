package protocol

import (
	"fmt"
	"net/http"
)

// Code is the stable name of an error, for programs; the words beside it are
// for people and may change.
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

// CodeInfo is what is known of an error code.
type CodeInfo struct {
	// Status is the HTTP status that goes with it.
	Status int
	// Retry tells whether the same command may succeed later as it is.
	Retry bool
}

// Codes is the table of all error codes.
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

// Error is a refused command. It is an event and a Go error at once; Message is
// one English sentence that says what to do.
type Error struct {
	Code    Code
	Message string
	// Room and Key name what the command was about, where it was.
	Room, Key string
	// RetryAfter is how long to wait before trying again, in milliseconds; 0
	// where that would not help or is not known.
	RetryAfter int64
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
