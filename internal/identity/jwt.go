package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the claims of an application's JWT.
type Claims struct {
	// ID is the user's id, derived from the claim sub.
	ID string
	// Name is the display name; "" if the token has none.
	Name string
	// Rooms are the only rooms that the user may enter; nil for all.
	Rooms []string
	// Moderator is the claim mod.
	Moderator bool
	// Expires is the claim exp, from which on the token is not valid; the zero time
	// without one.
	Expires time.Time
}

// MayEnter reports whether the token allows its user into the room.
func (c Claims) MayEnter(room string) bool { return c.Rooms == nil || slices.Contains(c.Rooms, room) }

// Verifier verifies an application's JWTs (RFC 7519). It is safe for concurrent use.
type Verifier struct {
	key     any
	methods []string
}

// ErrJWT is the error of an invalid JWT.
var ErrJWT = errors.New("the JWT does not hold")

// plainSubject matches a subject that can be a user's id unchanged.
var plainSubject = regexp.MustCompile(`^[A-Za-z0-9_.@:-]{1,64}$`)

type wireClaims struct {
	jwt.RegisteredClaims
	Name  string   `json:"name"`
	Rooms []string `json:"rooms"`
	Mod   bool     `json:"mod"`
}

// leeway is how far the issuer's clock may be ahead: nbf and iat may be so far in the
// future (RFC 7519 sections 4.1.5 and 4.1.6). exp is exact.
const leeway = 60 * time.Second

// Verify verifies the signature, by an algorithm that fits the key, and the times.
// Errors wrap ErrJWT and give the reason.
func (v *Verifier) Verify(token string) (Claims, error) {
	var claims wireClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return v.key, nil },
		jwt.WithValidMethods(v.methods), jwt.WithLeeway(leeway), jwt.WithIssuedAt())
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrJWT, err)
	}
	var expires time.Time
	if claims.ExpiresAt != nil {
		expires = claims.ExpiresAt.Time
		if !time.Now().Before(expires) {
			return Claims{}, fmt.Errorf("%w: %w", ErrJWT, jwt.ErrTokenExpired)
		}
	}
	if claims.Subject == "" {
		return Claims{}, fmt.Errorf("%w: it has no sub", ErrJWT)
	}
	id := claims.Subject
	if !plainSubject.MatchString(id) {
		sum := sha256.Sum256([]byte(id))
		id = "sub-" + hex.EncodeToString(sum[:16])
	}
	return Claims{ID: id, Name: claims.Name, Rooms: claims.Rooms, Moderator: claims.Mod, Expires: expires}, nil
}
