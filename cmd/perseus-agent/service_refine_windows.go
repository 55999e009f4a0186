package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// recovery is what Windows does when the service ends by itself: start it again,
// later each time; a day without failure begins the list anew.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 5 * time.Minute},
}

const recoveryReset = 24 * 60 * 60 // seconds

// refine sets what a service can do without, and notes what this system refuses.
func refine(s *mgr.Service) (notes []string) {
	text, err := windows.UTF16PtrFromString(description)
	if err != nil {
		panic(err) // the text is a constant
	}
	words := windows.SERVICE_DESCRIPTION{Description: text}
	identity := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED)
	delayed := windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}
	change := func(level uint32, to unsafe.Pointer) error {
		return windows.ChangeServiceConfig2(s.Handle, level, (*byte)(to))
	}
	for _, c := range []struct {
		what string
		err  error
	}{
		{"the description is missing", change(windows.SERVICE_CONFIG_DESCRIPTION, unsafe.Pointer(&words))},
		{"the service has no identity of its own", change(windows.SERVICE_CONFIG_SERVICE_SID_INFO, unsafe.Pointer(&identity))},
		{"it starts early, with the other services", change(windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, unsafe.Pointer(&delayed))},
		{"it is not started again when it fails", errors.Join(s.SetRecoveryActions(recovery, recoveryReset), s.SetRecoveryActionsOnNonCrashFailures(true))},
	} {
		if c.err != nil {
			notes = append(notes, fmt.Sprintf("note: %s: %v", c.what, c.err))
		}
	}
	return notes
}

// closeFolders makes the folders of the agent, and lets only the system, the
// administrators and this service into them: ProgramData as such lets every
// account read. A folder outside our own that is there already is left alone.
func closeFolders(p plan) error {
	who, err := serviceSID()
	if err != nil {
		return err
	}
	all := []string{config.DataDir()}
	for _, dir := range p.folders() {
		if _, err := os.Stat(dir); !within(dir, config.DataDir()) && errors.Is(err, fs.ErrNotExist) {
			all = append(all, dir)
		}
	}
	for _, dir := range all {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := protect(dir, who); err != nil {
			return fmt.Errorf("%s cannot be closed to other accounts: %w", dir, err)
		}
	}
	return nil
}

// serviceSID is the identity of the service, or of its account where services
// have none.
func serviceSID() (string, error) {
	for _, name := range []string{`NT SERVICE\` + serviceName, serviceAccount} {
		if sid, _, _, err := windows.LookupSID("", name); err == nil {
			return sid.String(), nil
		}
	}
	sid, err := windows.CreateWellKnownSid(windows.WinLocalServiceSid)
	if err != nil {
		return "", err
	}
	return sid.String(), nil
}

// protect sets the owner of a folder to the administrators and its access list
// to the system and the administrators (all) and the service (all but changing
// the list), for what is in it too, and nobody else.
func protect(dir, service string) error {
	sd, err := windows.SecurityDescriptorFromString("O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301ff;;;" + service + ")")
	if err != nil {
		return err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, owner, nil, dacl, nil)
}
