package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The network of the node: a cable between the machine and the node, and behind
// the node the pods and the Services.
const (
	nodeName = "node"
	hostIP   = "10.77.0.1"
	nodeIP   = "10.77.0.2"

	cableMask   = 30
	podCIDR     = "10.88.0.0/16"
	serviceCIDR = "10.96.0.0/16"
	apiIP       = "10.96.0.1"

	// The two ends of the cable.
	hostLink = "webhook-node"
	nodeLink = "eth0"
)

// connectToHost lays the cable. It is called in the node's namespace; `host` is
// that of the machine, which is taught the way to pods and Services.
func connectToHost(host netns.NsHandle) error {
	cable := netlink.NewLinkAttrs()
	cable.Name = nodeLink
	err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: cable, PeerName: hostLink, PeerNamespace: netlink.NsFd(host),
	})
	if err != nil {
		return fmt.Errorf("link to the machine: %w", err)
	}
	outside, err := netlink.NewHandleAt(host)
	if err != nil {
		return err
	}
	defer outside.Close()
	inside, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer inside.Close()

	if err := raise(inside, "lo", ""); err != nil {
		return err
	}
	if err := raise(inside, nodeLink, nodeIP); err != nil {
		return err
	}
	if err := raise(outside, hostLink, hostIP); err != nil {
		return err
	}
	if err := route(inside, nodeLink, "0.0.0.0/0", hostIP); err != nil {
		return err
	}
	for _, network := range []string{podCIDR, serviceCIDR} {
		if err := route(outside, hostLink, network, nodeIP); err != nil {
			return err
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600)
}

// raise sets a link up, with an address unless that is empty.
func raise(namespace *netlink.Handle, name, ip string) error {
	link, err := namespace.LinkByName(name)
	if err != nil {
		return err
	}
	if ip != "" {
		network := &net.IPNet{IP: net.ParseIP(ip), Mask: net.CIDRMask(cableMask, 32)}
		if err := namespace.AddrAdd(link, &netlink.Addr{IPNet: network}); err != nil {
			return fmt.Errorf("address %s: %w", ip, err)
		}
	}
	return namespace.LinkSetUp(link)
}

func route(namespace *netlink.Handle, through, network, gateway string) error {
	link, err := namespace.LinkByName(through)
	if err != nil {
		return err
	}
	destination, err := netlink.ParseIPNet(network)
	if err != nil {
		return err
	}
	err = namespace.RouteAdd(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: destination, Gw: net.ParseIP(gateway),
	})
	if err != nil {
		return fmt.Errorf("route to %s: %w", network, err)
	}
	return nil
}

// removeHostLink removes the machine's end of the cable, and with it the routes.
// The kernel does that too once the node's namespace is gone, at its leisure.
func removeHostLink() error {
	link, err := netlink.LinkByName(hostLink)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
