package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	serviceName    = "perseus-agent"
	displayName    = "Perseus Edge gateway"
	description    = "Reads energy meters, keeps half-hours, and sends what a permission covers."
	serviceAccount = `NT AUTHORITY\LocalService` // no password, hardly any rights
)

// windowsManager is the service manager of Windows, used directly: it is there
// in full (restart after an orderly failure, a service identity of its own),
// and what a manager lacks (Wine) can be left out.
type windowsManager struct{}

func newManager() manager { return windowsManager{} }

func (windowsManager) able() error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return errors.New(`this needs an administrator: open the terminal with "Run as administrator"`)
	}
	return nil
}

// open finds the service; nil when it is not installed.
func open() (*mgr.Mgr, *mgr.Service, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, nil, fmt.Errorf("the service manager does not answer: %w", err)
	}
	s, err := m.OpenService(serviceName)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return m, nil, nil
	}
	if err != nil {
		return nil, nil, errors.Join(err, m.Disconnect())
	}
	return m, s, nil
}

func (windowsManager) install(p plan) (did []string, err error) {
	if users := os.Getenv("SystemDrive") + `\Users\`; strings.HasPrefix(strings.ToLower(p.exec), strings.ToLower(users)) {
		return nil, fmt.Errorf(`the service cannot reach this program at %s: copy it to C:\Program Files\Perseus Edge first, then use that one`, p.exec)
	}
	m, s, err := open()
	if err != nil {
		return nil, err
	}
	defer m.Disconnect()
	line := syscall.EscapeArg(p.exec) + " service run --config " + syscall.EscapeArg(p.cfg.File)
	if s == nil {
		s, err = m.CreateService(serviceName, p.exec, mgr.Config{
			DisplayName: displayName, StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal, ServiceStartName: serviceAccount,
		}, "service", "run", "--config", p.cfg.File)
		if err != nil {
			return nil, fmt.Errorf("the service cannot be made: %w", err)
		}
		did = append(did, "service "+serviceName+" made, under the account "+serviceAccount)
	} else if changed, err := bring(s, line); err != nil {
		return nil, errors.Join(fmt.Errorf("the service cannot be changed: %w", err), s.Close())
	} else if changed {
		did = append(did, "service "+serviceName+" changed: "+line)
	}
	defer s.Close()
	did = append(did, refine(s)...)
	if err := eventlog.InstallAsEventCreate(serviceName, eventlog.Error|eventlog.Warning|eventlog.Info); err != nil && !strings.Contains(err.Error(), "exists") {
		did = append(did, "note: errors will not be in the event log, only in "+logFile()+": "+err.Error())
	}
	return did, closeFolders(p)
}

// definition is what a service runs, and how.
type definition struct {
	line, account string
	automatic     bool
}

// defined asks for the basic definition. mgr.Service.Config asks for more, and
// fails where a manager lacks it.
func defined(s *mgr.Service) (definition, error) {
	for size := uint32(1024); ; {
		b := make([]byte, size)
		c := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&b[0]))
		err := windows.QueryServiceConfig(s.Handle, c, size, &size)
		if errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) && size > uint32(len(b)) {
			continue
		}
		if err != nil {
			return definition{}, err
		}
		return definition{
			line: windows.UTF16PtrToString(c.BinaryPathName), account: windows.UTF16PtrToString(c.ServiceStartName),
			automatic: c.StartType == mgr.StartAutomatic,
		}, nil
	}
}

// bring makes an installed service run our command line, automatically.
func bring(s *mgr.Service, line string) (changed bool, err error) {
	is, err := defined(s)
	if err != nil {
		return false, err
	}
	if is.line == line && is.automatic && strings.EqualFold(is.account, serviceAccount) {
		return false, nil
	}
	path, err := syscall.UTF16PtrFromString(line)
	if err != nil {
		return false, err
	}
	account, err := syscall.UTF16PtrFromString(serviceAccount)
	if err != nil {
		return false, err
	}
	return true, windows.ChangeServiceConfig(s.Handle, windows.SERVICE_NO_CHANGE, mgr.StartAutomatic, windows.SERVICE_NO_CHANGE, path, nil, nil, nil, account, nil, nil)
}

func (windowsManager) uninstall() (did []string, err error) {
	m, s, err := open()
	if err != nil {
		return nil, err
	}
	defer m.Disconnect()
	if s == nil {
		return nil, nil
	}
	defer s.Close()
	if err := halt(s); err != nil {
		return nil, fmt.Errorf("the service does not stop, and is left as it is: %w", err)
	}
	did = append(did, "stopped")
	if err := s.Delete(); err != nil {
		return did, fmt.Errorf("the service cannot be removed: %w", err)
	}
	_ = eventlog.Remove(serviceName) // a source of the event log that stays does no harm
	return append(did, "service "+serviceName+" removed"), nil
}

func (windowsManager) start() error {
	m, s, err := open()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	if s == nil {
		return errNotInstalled
	}
	defer s.Close()
	if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return err
	}
	return await(s, svc.Running, startPatience)
}

func (windowsManager) stop() error {
	m, s, err := open()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	if s == nil {
		return errNotInstalled
	}
	defer s.Close()
	return halt(s)
}

// halt stops a service and waits until it is; one that does not run is.
func halt(s *mgr.Service) error {
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return err
	}
	return await(s, svc.Stopped, stopPatience+5*time.Second)
}

// await waits for a state.
func await(s *mgr.Service, want svc.State, most time.Duration) error {
	for until := time.Now().Add(most); ; time.Sleep(200 * time.Millisecond) {
		st, err := s.Query()
		switch {
		case err != nil:
			return err
		case st.State == want:
			return nil
		case st.State == svc.Stopped:
			return errors.New(exitWords(st))
		case time.Now().After(until):
			return fmt.Errorf("it is not so after %s", most)
		}
	}
}

func exitWords(st svc.Status) string {
	if st.Win32ExitCode == uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) {
		return fmt.Sprintf("the program ended with exit code %d", st.ServiceSpecificExitCode)
	}
	if st.Win32ExitCode == 0 || st.Win32ExitCode == uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
		return ""
	}
	return syscall.Errno(st.Win32ExitCode).Error()
}

// state asks with the least rights, so that anybody may.
func (windowsManager) state() (state, error) {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return state{}, fmt.Errorf("the service manager does not answer: %w", err)
	}
	defer windows.CloseServiceHandle(h)
	name, err := syscall.UTF16PtrFromString(serviceName)
	if err != nil {
		return state{}, err
	}
	sh, err := windows.OpenService(h, name, windows.SERVICE_QUERY_CONFIG|windows.SERVICE_QUERY_STATUS)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	s := &mgr.Service{Name: serviceName, Handle: sh}
	defer s.Close()
	st, err := s.Query()
	if err != nil {
		return state{}, err
	}
	out := state{installed: true, running: st.State == svc.Running, log: logFile(), lastError: lastError(tail(logFile()))}
	if is, err := defined(s); err == nil {
		out.automatic, out.definition = is.automatic, is.line
	}
	switch st.State {
	case svc.Running:
		out.since = processStart(st.ProcessId)
	case svc.StartPending:
		out.trouble = "it is starting"
	case svc.StopPending:
		out.trouble = "it is stopping"
	default:
		out.trouble = exitWords(st)
	}
	return out, nil
}

// processStart is when a process began, "" where that may not be asked.
func processStart(pid uint32) string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(h)
	var begun, exit, kernel, user windows.Filetime
	if windows.GetProcessTimes(h, &begun, &exit, &kernel, &user) != nil {
		return ""
	}
	return time.Unix(0, begun.Nanoseconds()).Format("2006-01-02 15:04:05 MST")
}

// tail is the end of a log, "" where it cannot be read.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > 128<<10 {
		if _, err := f.Seek(-128<<10, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, 128<<10))
	if err != nil {
		return ""
	}
	return string(b)
}

// within reports whether a path is in a folder, or is it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, `..\`)
}
