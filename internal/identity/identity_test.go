package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestGuestsTokens(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret that the nodes share")
	g := Guest{ID: NewGuest(), Name: "Ann é\"|"}
	token := Sign(secret, g)
	if got, err := Verify(secret, token); err != nil || got != g {
		t.Errorf("%v %v", got, err)
	}
	text, signature, _ := strings.Cut(token, ".")
	other := Sign(secret, Guest{ID: "another", Name: "x"})
	otherText, _, _ := strings.Cut(other, ".")
	for name, bad := range map[string]string{
		"empty": "", "no dot": text, "truncated": token[:len(token)-1], "longer": token + "A", "another's body": otherText + "." + signature,
		"no signature": text + ".", "a signature of nothing": "." + signature, "upper case": strings.ToUpper(token), "huge": strings.Repeat("a", 1<<20) + "." + signature,
		"of another cluster": Sign([]byte("another secret"), g), "a JWT": "eyJhbGciOiJub25lIn0.e30.", "without an id": Sign(secret, Guest{Name: "x"}),
	} {
		if got, err := Verify(secret, bad); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	if first, second := NewGuest(), NewGuest(); first == second {
		t.Error("two guests have one id")
	}
}

// publicFile writes a public key as operators store it.
func publicFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJWTsOfEachKindOfKey(t *testing.T) {
	t.Parallel()
	rsaKey, err1 := rsa.GenerateKey(rand.Reader, 2048)
	ecKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edPublic, edKey, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	secret := strings.Repeat("s", 32)
	claims := jwt.MapClaims{"sub": "u", "name": "Ann", "rooms": []string{"a"}, "mod": true}
	for name, c := range map[string]struct {
		file   string
		method jwt.SigningMethod
		key    any
	}{
		"HMAC":    {keyFile(t, secret+"\r\n"), jwt.SigningMethodHS256, []byte(secret)},
		"RSA":     {publicFile(t, &rsaKey.PublicKey), jwt.SigningMethodRS256, rsaKey},
		"ECDSA":   {publicFile(t, &ecKey.PublicKey), jwt.SigningMethodES256, ecKey},
		"Ed25519": {publicFile(t, edPublic), jwt.SigningMethodEdDSA, edKey},
	} {
		v, err := NewFileVerifier(c.file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		token, err := jwt.NewWithClaims(c.method, claims).SignedString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(token)
		if err != nil || got.ID != "u" || got.Name != "Ann" || !got.Moderator || !got.MayEnter("a") || got.MayEnter("b") {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if name == "HMAC" {
			continue
		}
		// The public key is not accepted as an HMAC secret.
		public, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(public)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(forged); !errors.Is(err, ErrJWT) {
			t.Errorf("%s: a forged token is accepted: %v", name, err)
		}
	}
}

func TestJWTsThatDoNotHold(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	v, err := NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(claims jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, token := range map[string]string{
		"empty": "", "rubbish": "a.b.c", "expired": sign(jwt.MapClaims{"sub": "u", "exp": 1}),
		"not yet": sign(jwt.MapClaims{"sub": "u", "nbf": time.Now().Add(time.Hour).Unix()}), "no sub": sign(jwt.MapClaims{"name": "x"}),
		"truncated": sign(jwt.MapClaims{"sub": "u"})[:30],
	} {
		if c, err := v.Verify(token); !errors.Is(err, ErrJWT) {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
	for _, sub := range []string{"a b", "a|b", "é", strings.Repeat("x", 65), "a\nb"} {
		c, err := v.Verify(sign(jwt.MapClaims{"sub": sub}))
		if err != nil || strings.ContainsAny(c.ID, "| \n") || len(c.ID) > 64 || c.MayEnter("any") == false {
			t.Errorf("%q became %+v, %v", sub, c, err)
		}
	}
}

// A token that was issued just now reached a node whose clock was a second behind, and
// its user was refused for good.
func TestTheIssuersClockMayBeAheadAMinute(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	v, err := NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	in := func(d time.Duration) float64 { return float64(time.Now().Add(d).UnixMilli()) / 1000 }
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		holds  bool
	}{
		"valid in two seconds":    {jwt.MapClaims{"nbf": in(2 * time.Second)}, true},
		"valid in a minute":       {jwt.MapClaims{"nbf": in(58 * time.Second)}, true},
		"valid in two minutes":    {jwt.MapClaims{"nbf": in(2 * time.Minute)}, false},
		"issued in two seconds":   {jwt.MapClaims{"iat": in(2 * time.Second)}, true},
		"issued in a minute":      {jwt.MapClaims{"iat": in(58 * time.Second)}, true},
		"issued in two minutes":   {jwt.MapClaims{"iat": in(2 * time.Minute)}, false},
		"issued long ago":         {jwt.MapClaims{"iat": in(-1000 * time.Hour)}, true},
		"expired two seconds ago": {jwt.MapClaims{"exp": in(-2 * time.Second)}, false},
		"expired now":             {jwt.MapClaims{"exp": in(0)}, false},
		"expires in two seconds":  {jwt.MapClaims{"exp": in(2 * time.Second)}, true},
		"never expires":           {jwt.MapClaims{}, true},
	} {
		c.claims["sub"] = "u"
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c.claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(token)
		if (err == nil) != c.holds {
			t.Errorf("%s: %v", name, err)
		}
		if exp, ok := c.claims["exp"].(float64); ok && c.holds && got.Expires.Unix() != int64(exp) {
			t.Errorf("%s: expires %s", name, got.Expires)
		}
	}
}
