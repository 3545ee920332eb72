package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// CA is a certificate authority made for a test, with a server certificate for 127.0.0.1.
type CA struct {
	// CAFile holds the authority's certificate; CertFile and KeyFile those of
	// the server.
	CAFile, CertFile, KeyFile string
	// Trusting is a TLS configuration that trusts only the authority.
	Trusting *tls.Config
}

// NewCA makes an authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	dir := t.TempDir()
	ca := &CA{
		CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
	}
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	template := func(n int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			BasicConstraintsValid: true,
		}
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	root := template(1, "the test's own authority")
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &signer.PublicKey, signer)
	fatal(err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	leaf := template(2, "redis")
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &own.PublicKey, signer)
	fatal(err)
	keyDER, err := x509.MarshalECPrivateKey(own)
	fatal(err)
	write := func(file, kind string, der []byte) {
		t.Helper()
		fatal(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	write(ca.CAFile, "CERTIFICATE", rootDER)
	write(ca.CertFile, "CERTIFICATE", leafDER)
	write(ca.KeyFile, "EC PRIVATE KEY", keyDER)
	trusted, err := x509.ParseCertificate(rootDER)
	fatal(err)
	pool := x509.NewCertPool()
	pool.AddCert(trusted)
	ca.Trusting = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return ca
}

// args returns the arguments for a redis-server that accepts only TLS.
func (ca *CA) args(port string) []string {
	return []string{
		"--port", "0", "--tls-port", port, "--tls-cert-file", ca.CertFile, "--tls-key-file", ca.KeyFile,
		"--tls-ca-cert-file", ca.CAFile, "--tls-auth-clients", "no",
	}
}

// secure makes a server that does not run yet accept only TLS.
func (s *Server) secure(ca *CA) {
	_, port, _ := net.SplitHostPort(s.Addr)
	s.args = append(s.args, ca.args(port)...)
	s.tls = ca.Trusting
	s.URL = "rediss://" + s.Addr
}

// StartTLS starts a redis-server that accepts only TLS, with a certificate of the
// authority.
func StartTLS(t testing.TB, ca *CA, args ...string) *Server {
	t.Helper()
	program(t)
	s := newServer(t, chattest.FreePorts(t, 1)[0], args...)
	s.secure(ca)
	s.Restart()
	return s
}
