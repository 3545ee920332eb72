// Package identity tells who somebody is: guests by a token that a node signed
// for them, and users of an application by the JWT that it gave them.
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

// Guest is what a guest's token says.
type Guest struct {
	// ID is the user's id.
	ID string `json:"id"`
	// Name is the name the user had when the token was made.
	Name string `json:"name"`
}

// ErrToken is answered to a token that these nodes did not sign. It doesn't
// tell what is wrong with it.
var ErrToken = errors.New("the token is not one of ours")

// maxToken bounds what is looked at.
const maxToken = 1024

// guestBytes is how much chance is in a guest's id.
const guestBytes = 12

// NewGuest makes up a guest's id.
func NewGuest() string {
	var b [guestBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "g" + hex.EncodeToString(b[:])
}

// Sign makes a guest's token. Every node with the same secret knows it.
func Sign(secret []byte, g Guest) string {
	body, err := json.Marshal(g)
	if err != nil {
		panic(err) // two strings can't fail
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac(secret, text))
}

// Verify reads a guest's token, in a time that does not depend on where it is
// wrong; else it answers ErrToken.
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

// NameIn returns the name that a token gives, whoever signed it: a wish, no proof.
// "" where there is none.
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
