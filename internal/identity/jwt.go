package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what an application's JWT says of its user.
type Claims struct {
	// ID is the user's id, made of the claim sub.
	ID string
	// Name is the display name, where the token gives one.
	Name string
	// Rooms are the only ones that the user may enter; nil for all.
	Rooms []string
	// Moderator is the claim mod.
	Moderator bool
}

// MayEnter reports whether the token lets its user into the room.
func (c Claims) MayEnter(room string) bool { return c.Rooms == nil || slices.Contains(c.Rooms, room) }

// Verifier checks an application's JWTs (RFC 7519).
type Verifier struct {
	key     any
	methods []string
}

// minHMACSecret is the shortest HMAC secret that is taken (RFC 7518 section
// 3.2 asks for as many bytes as the hash has).
const minHMACSecret = 32

// NewVerifier makes a Verifier of what --jwt-key holds: an HMAC secret, or the
// path of a file with a PEM public key.
func NewVerifier(key string) (*Verifier, error) {
	text, err := os.ReadFile(key)
	if err != nil {
		if len(key) < minHMACSecret {
			return nil, fmt.Errorf("--jwt-key is neither a file nor a secret of at least %d bytes", minHMACSecret)
		}
		return &Verifier{key: []byte(key), methods: []string{"HS256", "HS384", "HS512"}}, nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("--jwt-key: %q holds no PEM public key", key)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("--jwt-key: read the public key in %q: %w", key, err)
	}
	switch public.(type) {
	case *rsa.PublicKey:
		return &Verifier{key: public, methods: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}, nil
	case *ecdsa.PublicKey:
		return &Verifier{key: public, methods: []string{"ES256", "ES384", "ES512"}}, nil
	case ed25519.PublicKey:
		return &Verifier{key: public, methods: []string{"EdDSA"}}, nil
	}
	return nil, fmt.Errorf("--jwt-key: %q holds a kind of key that JWTs are not signed with", key)
}

// ErrJWT is answered to a JWT that does not hold.
var ErrJWT = errors.New("the JWT does not hold")

// plainSubject is a subject that can be a user's id as it is.
var plainSubject = regexp.MustCompile(`^[A-Za-z0-9_.@:-]{1,64}$`)

type wireClaims struct {
	jwt.RegisteredClaims
	Name  string   `json:"name"`
	Rooms []string `json:"rooms"`
	Mod   bool     `json:"mod"`
}

// Verify checks the signature, by an algorithm that fits the key alone, and the
// times. Any failure is ErrJWT with its reason.
func (v *Verifier) Verify(token string) (Claims, error) {
	var claims wireClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return v.key, nil },
		jwt.WithValidMethods(v.methods))
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrJWT, err)
	}
	if claims.Subject == "" {
		return Claims{}, fmt.Errorf("%w: it has no sub", ErrJWT)
	}
	id := claims.Subject
	if !plainSubject.MatchString(id) {
		sum := sha256.Sum256([]byte(id))
		id = "sub-" + hex.EncodeToString(sum[:16])
	}
	return Claims{ID: id, Name: claims.Name, Rooms: claims.Rooms, Moderator: claims.Mod}, nil
}
