// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IClaimIssuerRegistry} from "../interfaces/IClaimIssuerRegistry.sol";

/// @title Lets in whoever holds a valid claim. Inherit it, or deploy it as it is to try one out.
contract ClaimGated {
    IClaimIssuerRegistry public immutable registry;
    uint256 public immutable topic;

    event Entered(address indexed wallet);

    error NotVerified(address wallet, uint256 topic);

    modifier onlyVerified() {
        if (!isAllowed(msg.sender)) revert NotVerified(msg.sender, topic);
        _;
    }

    constructor(address registry_, uint256 topic_) {
        registry = IClaimIssuerRegistry(registry_);
        topic = topic_;
    }

    function enter() external onlyVerified {
        emit Entered(msg.sender);
    }

    /// @notice Asks the registry each time: a claim that is revoked or has expired counts no longer.
    function isAllowed(address wallet) public view returns (bool) {
        return registry.isVerified(wallet, topic);
    }
}
