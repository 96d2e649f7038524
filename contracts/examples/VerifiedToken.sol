// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IClaimIssuerRegistry} from "../interfaces/IClaimIssuerRegistry.sol";

/// @title An ERC-20 that only verified wallets can receive. Whoever loses its claim keeps what it has and may send it on.
contract VerifiedToken is ERC20 {
    IClaimIssuerRegistry public immutable registry;
    uint256 public immutable topic;

    error NotVerified(address wallet, uint256 topic);

    constructor(address registry_, uint256 topic_, uint256 supply) ERC20("Verified Token", "VRF") {
        registry = IClaimIssuerRegistry(registry_);
        topic = topic_;
        _mint(msg.sender, supply);
    }

    /// @dev Every transfer, mint and burn comes through here; burning alone needs no claim, so the deployer needs one.
    function _update(address from, address to, uint256 value) internal override {
        if (to != address(0) && !registry.isVerified(to, topic)) revert NotVerified(to, topic);
        super._update(from, to, value);
    }
}
