// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title An owner that is handed over in two steps, and never lost
abstract contract HandedOver is Ownable2Step {
    error OwnershipCannotBeRenounced();

    /// @dev Without an owner nobody could distrust an issuer any more, or name another deployer.
    function renounceOwnership() public pure override {
        revert OwnershipCannotBeRenounced();
    }
}
