package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/golang-jwt/jwt/v5"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// Once the path of a key file that could not be read became the secret: anybody who
// guessed the path could sign tokens of moderators. So only a secret is accepted as one.
func TestOnlyASecretBecomesOne(t *testing.T) {
	t.Parallel()
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	public := must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey))
	there := filepath.Join(t.TempDir(), "secret-of-the-application")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const example = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
	wide := "\xff\xfe"
	for _, unit := range utf16.Encode([]rune(example)) {
		wide += string([]byte{byte(unit), byte(unit >> 8)})
	}
	for name, c := range map[string]struct{ secret, says string }{
		"nothing":              {"", "fewer than 32 bytes"},
		"31 bytes":             {strings.Repeat("s", 31), "fewer than 32 bytes"},
		"a path":               {"/etc/chat/keys/of/the/application/public.pem", "--jwt-key-file"},
		"a path in upper case": {`C:\Users\Operator\keys\of the application\PUBLIC.PEM`, "--jwt-key-file"},
		"a file's URL":         {"file:///run/secrets/key-of-the-application", "--jwt-key-file"},
		"a file that is there": {there, "--jwt-key-file"},
		"a public key":         {inPEM("PUBLIC KEY", public), "PEM key"},
		"one in UTF-16":        {wide, "PEM key"},
		"one in base64":        {base64.StdEncoding.EncodeToString(public), "without its PEM lines"},
		"one in DER":           {string(public), "without its PEM lines"},
		"one of SSH":           {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1u0wLxR3eqxJ8 ann@example", "SSH"},
		"one in JSON":          {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "JSON Web Key"},
		"a set of them":        {`{"keys":[{"e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4"}]}`, "JSON Web Key"},
	} {
		if _, err := NewSecretVerifier(c.secret); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s as --jwt-secret: %v", name, err)
		}
	}
	for _, secret := range []string{strings.Repeat("s", 32), strings.Repeat("/A", 20), base64.StdEncoding.EncodeToString(make([]byte, 48))} {
		v, err := NewSecretVerifier(secret)
		if err != nil {
			t.Fatalf("%q: %v", secret, err)
		}
		token := must(jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "u"}).SignedString([]byte(secret)))
		if _, err := v.Verify(token); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestKeyFilesThatAreNone(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := must(rsa.GenerateKey(rand.Reader, 2048)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	public := must(x509.MarshalPKIXPublicKey(&ecKey.PublicKey))
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                     {"", "neither a PEM public key nor an HMAC secret"},
		"too short a secret":          {strings.Repeat("s", 31) + "\n", "at least 32 bytes"},
		"too much":                    {strings.Repeat("s", maxKeyFile+1), "more than"},
		"a private key":               {inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey))), "private key"},
		"a private key of RSA":        {inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "private key"},
		"a private key of a curve":    {inPEM("EC PARAMETERS", []byte{6}) + inPEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey))), "private key"},
		"a private key of SSH":        {inPEM("OPENSSH PRIVATE KEY", []byte("x")), "private key"},
		"a private key in DER":        {string(must(x509.MarshalPKCS8PrivateKey(ecKey))), "PEM lines"},
		"a public key in DER":         {string(public), "PEM lines"},
		"a public key without armour": {base64.StdEncoding.EncodeToString(public) + "\n", "PEM lines"},
		"a damaged public key":        {inPEM("PUBLIC KEY", public[:40]), "damaged"},
		"a damaged certificate":       {inPEM("CERTIFICATE", public), "damaged"},
		"PEM that is cut off":         {inPEM("PUBLIC KEY", public)[:90], "broken PEM"},
		"a request for a certificate": {inPEM("CERTIFICATE REQUEST", public), "PEM block"},
		"another kind of key":         {inPEM("PUBLIC KEY", must(base64.StdEncoding.DecodeString("MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="))), "RSA, ECDSA or Ed25519"},
		"a key set":                   {`{"keys":[]}` + strings.Repeat(" ", 32), "JSON Web Key"},
	} {
		_, err := NewFileVerifier(keyFile(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "asn1") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"", t.TempDir(), keyFile(t, "x") + ".none", strings.Repeat("n", 40)} {
		if _, err := NewFileVerifier(path); err == nil || !strings.Contains(err.Error(), "can't be read") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// Public keys have three kinds of PEM.
func TestPublicKeysAndCertificates(t *testing.T) {
	t.Parallel()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	for name, c := range map[string]struct {
		text   string
		method jwt.SigningMethod
		key    any
	}{
		"PKCS 1":      {inPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)), jwt.SigningMethodPS256, key},
		"certificate": {"Issuer: x\n" + inPEM("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, edPublic, edKey))), jwt.SigningMethodEdDSA, edKey},
	} {
		v, err := NewFileVerifier(keyFile(t, c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		token := must(jwt.NewWithClaims(c.method, jwt.MapClaims{"sub": "u"}).SignedString(c.key))
		if _, err := v.Verify(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
