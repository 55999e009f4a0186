//go:build !linux && !windows

package main

import "errors"

// noManager says that services are not managed here.
type noManager struct{}

var errNoManager = errors.New("services are managed on Linux (systemd) and Windows: have this system's own service manager run `perseus-agent run --config FILE`")

func newManager() manager { return noManager{} }

func (noManager) able() error                    { return errNoManager }
func (noManager) install(plan) ([]string, error) { return nil, errNoManager }
func (noManager) uninstall() ([]string, error)   { return nil, errNoManager }
func (noManager) start() error                   { return errNoManager }
func (noManager) stop() error                    { return errNoManager }
func (noManager) state() (state, error)          { return state{}, errNoManager }

func serviceRun(*invocation, string) error {
	return wrong("service run is how Windows starts the program: use perseus-agent run here")
}
