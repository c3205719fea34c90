module ml-platform/karpenter

go 1.25

// Its CustomResourceDefinitions, which EKS Auto Mode installs.
require sigs.k8s.io/karpenter v1.8.0
