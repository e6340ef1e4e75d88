package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const loopback = "127.0.0.1"

// listen opens the API server's port. A free port is looked for below the range
// that Linux gives to outgoing connections: while the server is stopped, no
// connection can take the port away, and no client that retries can connect to
// itself.
func listen(address string, port int) (net.Listener, error) {
	if port != 0 {
		return net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
	}
	var listener net.Listener
	var err error
	for range 100 {
		listener, err = net.Listen("tcp", fmt.Sprintf("%s:%d", address, 20000+rand.IntN(10000)))
		if err == nil {
			break
		}
	}
	return listener, err
}

// apiServerFlags are those that every API server of the tests has.
func apiServerFlags(credentials credentials, etcd url.URL) []string {
	return []string{
		"--etcd-servers=" + etcd.String(),
		"--cert-dir=" + credentials.certificates,
		"--token-auth-file=" + credentials.tokens,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + credentials.serviceAccountKey,
		"--service-account-signing-key-file=" + credentials.serviceAccountKey,
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=" + serviceCIDR,
	}
}

// addressFlags tell where the API server is reached.
func addressFlags(address string) []string {
	flags := []string{"--bind-address=" + address, "--advertise-address=" + address}
	if address == loopback {
		// No endpoint may hold a loopback address, and without a node nobody
		// reaches the API server through the Service `kubernetes`.
		return append(flags, "--endpoint-reconciler-type=none")
	}
	// The name of a node is in no DNS.
	return append(flags, "--kubelet-preferred-address-types=InternalIP")
}

// apiServerOptions are those of kube-apiserver's command line. The command
// itself is not used, because it opens the port by itself: it could not take a
// free one without a race.
func apiServerOptions(
	ctx context.Context, listener net.Listener, commandLine []string,
) (options.CompletedOptions, error) {
	server := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, group := range server.Flags().FlagSets {
		flags.AddFlagSet(group)
	}
	if err := flags.Parse(commandLine); err != nil {
		return options.CompletedOptions{}, err
	}
	server.SecureServing.Listener = listener
	server.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return options.CompletedOptions{}, err
	}
	completed, err := server.Complete(ctx)
	if err != nil {
		return options.CompletedOptions{}, err
	}
	return completed, utilerrors.NewAggregate(completed.Validate())
}

// runAPIServer is kube-apiserver's app.Run with a shorter end.
func runAPIServer(ctx context.Context, options options.CompletedOptions) error {
	config, err := app.NewConfig(options)
	if err != nil {
		return err
	}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(completed)
	if err != nil {
		return err
	}
	// By default it waits a minute for the watches that clients hold open.
	server.GenericAPIServer.ShutdownTimeout = 500 * time.Millisecond
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}
