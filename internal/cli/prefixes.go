package cli

import (
	"errors"
	"net/netip"
	"strings"
)

// prefixes is the value of a flag for networks; a single address is a network of one
// (pflag.Value, pflag.SliceValue).
type prefixes []netip.Prefix

// Set adds a network.
func (p *prefixes) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		*p = append(*p, netip.Prefix{}) // an empty value, which is refused later under the flag's name
		return nil
	}
	n, err := parsePrefix(text)
	if err == nil {
		*p = append(*p, n)
	}
	return err
}

// parsePrefix parses "10.0.0.0/8", "2001:db8::/32", or one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("give a network as 10.0.0.0/8, or an address")
	}
	return n.Masked(), nil
}

// String returns the networks, separated by commas.
func (p *prefixes) String() string { return strings.Join(p.GetSlice(), ",") }

// Type returns the name of the type in the help.
func (p *prefixes) Type() string { return "CIDR" }

// Append adds a network.
func (p *prefixes) Append(text string) error { return p.Set(text) }

// Replace replaces all networks.
func (p *prefixes) Replace(texts []string) error {
	*p = nil
	for _, text := range texts {
		if err := p.Set(text); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice returns the networks in a form that Set accepts.
func (p *prefixes) GetSlice() []string {
	list := make([]string, len(*p))
	for i, n := range *p {
		if n.IsValid() {
			list[i] = n.String()
		}
	}
	return list
}
