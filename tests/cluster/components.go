package main

import (
	"context"
	"os"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/coremain"
	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// The programs that need no change: each is the command that Kubernetes ships,
// with its own flags.

func kubeControllerManager() error { return run(controllermanager.NewControllerManagerCommand()) }

func kubeScheduler() error { return run(scheduler.NewSchedulerCommand()) }

func kubeProxy() error { return run(proxy.NewProxyCommand()) }

func kubeKubelet() error { return run(kubelet.NewKubeletCommand(context.Background())) }

func run(command *cobra.Command) error {
	os.Exit(cli.Run(command))
	return nil
}

func kubectl() error {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		// Prints the error as kubectl does and exits with its code.
		util.CheckErr(err)
	}
	return nil
}

// coreDNS is CoreDNS with the plugins that are imported here.
func coreDNS() error {
	coremain.Run()
	return nil
}
