package keystore

import (
	"os"
	"strings"
)

// Describe says in words where Open would make keys, without asking a TPM or a
// token for anything. The kind must be one that CheckKind takes.
func Describe(kind string) string {
	name, device, named := strings.Cut(kind, ":")
	switch {
	case kind == File:
		return "in files that the agent's account alone can read"
	case name == TPM && named:
		return "in the TPM at " + device
	case name == TPM:
		return "in this machine's TPM"
	case name == PKCS11:
		u, _ := parseToken(kind)
		return "in " + u.described()
	case TokenMeant():
		return "in " + tokenURI{}.described() + ", since that PIN is there"
	}
	if _, err := os.Stat(DefaultDevice); err == nil {
		return "in this machine's TPM where the agent's account may use it, else in files that this account alone can read"
	}
	return "in files that the agent's account alone can read, since this machine has no TPM and no token's PIN is at " + pinByDefault
}

func (u tokenURI) described() string {
	pin, module := u.pin, u.module
	if pin == "" {
		pin = pinByDefault
	}
	if module == "" {
		module = "OpenSC's module"
	}
	return u.name() + " (through " + module + ", its PIN in " + pin + ")"
}

// tokenKind reports whether keys would be made in a token.
func tokenKind(kind string) bool {
	name, _, _ := strings.Cut(kind, ":")
	return name == PKCS11 || (kind == "" || kind == Auto) && TokenMeant()
}

// LookForToken says why the token in which keys would be made is not there, and
// nothing where they are made elsewhere. It does not log in.
func LookForToken(kind string) error {
	if !tokenKind(kind) {
		return nil
	}
	_, err := Open(kind, "")
	return err
}
