package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// minHMACSecret is the shortest HMAC secret that is accepted (RFC 7518 section 3.2
// requires as many bytes as the hash has).
const minHMACSecret = 32

// maxKeyFile bounds the part of a key file that is read, in bytes.
const maxKeyFile = 64 << 10

// The algorithms (RFC 7518 section 3.1) that fit each kind of key. Tokens signed by
// others are refused, so that a public key is never used as an HMAC secret.
var (
	hmacMethods  = []string{"HS256", "HS384", "HS512"}
	rsaMethods   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ecdsaMethods = []string{"ES256", "ES384", "ES512"}
	edMethods    = []string{"EdDSA"}
)

// NewSecretVerifier returns a Verifier for an HMAC secret, which is used unchanged. It
// refuses a secret under 32 bytes, and what is no secret because anybody may know it: a
// public key, or the path of a file. Errors do not contain the secret.
func NewSecretVerifier(secret string) (*Verifier, error) {
	switch {
	case namesFile(secret):
		return nil, errors.New("names a file: this is for the HMAC secret itself; give the path as --jwt-key-file")
	case len(secret) < minHMACSecret:
		return nil, fmt.Errorf("has fewer than %d bytes: make one with: openssl rand -hex 32", minHMACSecret)
	}
	if err := refuseKeyMaterial([]byte(secret)); err != nil {
		return nil, err
	}
	return &Verifier{key: []byte(secret), methods: hmacMethods}, nil
}

// NewFileVerifier returns a Verifier for the key in a file: a public key or a
// certificate in PEM (RFC 7468), or an HMAC secret, without the newline at its end.
// Errors do not contain the contents.
func NewFileVerifier(path string) (*Verifier, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		return publicVerifier(text)
	}
	if err := refuseKeyMaterial(text); err != nil {
		return nil, err
	}
	secret := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(secret) < minHMACSecret {
		return nil, fmt.Errorf("holds neither a PEM public key nor an HMAC secret of at least %d bytes", minHMACSecret)
	}
	return &Verifier{key: secret, methods: hmacMethods}, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("has more than %d bytes: give a file that holds the key alone", maxKeyFile)
	}
	return text, nil
}

// publicVerifier returns a Verifier for the key in the first PEM block.
func publicVerifier(text []byte) (*Verifier, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds broken PEM: compare it with the output of: openssl pkey -pubin -in FILE")
	}
	var public any
	var err error
	switch kind := block.Type; {
	case strings.HasSuffix(kind, "PRIVATE KEY"), kind == "EC PARAMETERS":
		return nil, errors.New("holds a private key: a node needs only the public one, and must not have the other; " +
			"make its file with: openssl pkey -in PRIVATE.pem -pubout")
	case kind == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case kind == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case kind == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("holds a PEM block %q: it must be PUBLIC KEY or CERTIFICATE", kind)
	}
	if err != nil { // x509's own message speaks of ASN.1
		return nil, fmt.Errorf("holds a damaged %s: get it anew from the application that signs the tokens", block.Type)
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		return &Verifier{key: key, methods: rsaMethods}, nil
	case *ecdsa.PublicKey:
		return &Verifier{key: key, methods: ecdsaMethods}, nil
	case ed25519.PublicKey:
		return &Verifier{key: key, methods: edMethods}, nil
	}
	return nil, errors.New("holds a kind of key that JWTs are not signed with: take RSA, ECDSA or Ed25519")
}

// refuseKeyMaterial refuses an HMAC secret that is a key or a certificate in another
// form than PEM. A public key may be known to anybody, who could then sign tokens.
func refuseKeyMaterial(text []byte) error {
	plain := bytes.ReplaceAll(text, []byte{0}, nil) // of UTF-16
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.Contains(plain, []byte("-----BEGIN")):
		return errors.New("holds a PEM key, which is no HMAC secret: give the path of a file that holds it (as plain ASCII) as --jwt-key-file")
	case bytes.HasPrefix(trimmed, []byte("ssh-")), bytes.HasPrefix(trimmed, []byte("ecdsa-sha2-")):
		return errors.New("holds an SSH public key: convert it with: ssh-keygen -e -m PKCS8 -f FILE")
	case bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(trimmed, []byte(`"kty"`)),
		bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(trimmed, []byte(`"keys"`)):
		return errors.New("holds a JSON Web Key: convert its public key to PEM")
	}
	der := text
	if decoded, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil))); err == nil && isDER(decoded) {
		der = decoded
	}
	if isDER(der) {
		return errors.New("holds a key without its PEM lines: put -----BEGIN PUBLIC KEY----- before it and -----END PUBLIC KEY----- after it, " +
			"in the file of --jwt-key-file, or convert it with: openssl pkey -pubin -inform DER")
	}
	return nil
}

// isDER reports whether data is a key or a certificate in DER.
func isDER(data []byte) bool {
	for _, parse := range []func([]byte) error{
		func(b []byte) error { _, err := x509.ParsePKIXPublicKey(b); return err },
		func(b []byte) error { _, err := x509.ParsePKCS1PublicKey(b); return err },
		func(b []byte) error { _, err := x509.ParseCertificate(b); return err },
		func(b []byte) error { _, err := x509.ParsePKCS8PrivateKey(b); return err },
		func(b []byte) error { _, err := x509.ParsePKCS1PrivateKey(b); return err },
		func(b []byte) error { _, err := x509.ParseECPrivateKey(b); return err },
	} {
		if parse(data) == nil {
			return true
		}
	}
	return false
}

// keyEndings are the usual endings of key files.
var keyEndings = []string{".pem", ".key", ".pub", ".crt", ".cer", ".der", ".txt", ".json", ".jwk", ".secret"}

// namesFile reports whether a secret looks like the path of a file: such a file exists,
// or it ends like one. It could be guessed.
func namesFile(secret string) bool {
	if strings.ContainsAny(secret, "\x00\n") {
		return false
	}
	if strings.HasPrefix(secret, "file:") || slices.Contains(keyEndings, strings.ToLower(filepath.Ext(secret))) {
		return true
	}
	_, err := os.Stat(secret)
	return err == nil
}
