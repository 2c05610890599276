//go:build tools

// Package helm pins the Helm that hack/cluster builds; in a module of its own, so that its dependencies and those of Kubernetes
// do not move each other.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
