// Package identity authenticates users: guests by a token that a node signed, and users
// of an application by the application's JWT.
package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
)

// Guest is the content of a guest's token.
type Guest struct {
	// ID is the user's id.
	ID string `json:"id"`
	// Name is the name of the user when the token was made.
	Name string `json:"name"`
}

// ErrToken is the error of a token that was not signed with this secret. It does not
// say what is wrong with it.
var ErrToken = errors.New("the token is not one of ours")

// maxToken bounds the length of a token, in bytes.
const maxToken = 1024

// guestBytes is the number of random bytes of a guest's id.
const guestBytes = 12

// NewGuest returns a random id for a guest.
func NewGuest() string {
	var b [guestBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "g" + hex.EncodeToString(b[:])
}

// Sign returns a guest's token. Every node with the same secret accepts it.
func Sign(secret []byte, g Guest) string {
	body, err := json.Marshal(g)
	if err != nil {
		panic(err) // encoding two strings can't fail
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac(secret, text))
}

// Verify returns the content of a guest's token, or ErrToken. Its duration is independent
// of where the signature is wrong.
func Verify(secret []byte, token string) (Guest, error) {
	text, signature, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxToken {
		return Guest{}, ErrToken
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || !hmac.Equal(given, mac(secret, text)) {
		return Guest{}, ErrToken
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Guest{}, ErrToken
	}
	var g Guest
	if json.Unmarshal(body, &g) != nil || g.ID == "" {
		return Guest{}, ErrToken
	}
	return g, nil
}

// NameIn returns the name in a token, without verifying it; "" if there is none.
func NameIn(token string) string {
	text, _, _ := strings.Cut(token, ".")
	if len(token) > maxToken {
		return ""
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	var g Guest
	if err != nil || json.Unmarshal(body, &g) != nil {
		return ""
	}
	return g.Name
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("chat guest token 1\n"))
	h.Write([]byte(text))
	return h.Sum(nil)
}
